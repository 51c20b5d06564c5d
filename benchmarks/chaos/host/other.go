//go:build unix && !linux

package host

// Isolated reports whether hosts are apart from each other.
func Isolated() bool { return false }

// Isolate says that there is no such thing here.
func Isolate() (code int, over bool, err error) { return 0, false, ErrNot }

type space struct{}

func thisSpace() (space, error)         { return space{}, ErrNot }
func newSpace() (space, error)          { return space{}, ErrNot }
func (space) do(f func() error) error   { return f() }
func (space) close()                    {}
func (space) ip(space, ...string) error { return ErrNot }

const there = ""

// A Disk is a file system of its own; there are none here.
type Disk struct{}

// NewDisk says that there is no such thing here.
func NewDisk(string, int64) (*Disk, error) { return nil, ErrNot }

// Squeeze says that there is no such thing here.
func (*Disk) Squeeze(int64) error { return ErrNot }

// Release says that there is no such thing here.
func (*Disk) Release() error { return ErrNot }

// Close does nothing.
func (*Disk) Close() error { return nil }
