package wire

// KeepRates records when runs began that rates count together, for a leader
// that comes after. It is recorded before those runs begin. (Version 2)
type KeepRates struct {
	Windows []RateWindow `msgpack:"w"`
}

// RateWindow is what is remembered of one rate: whose it is, and when runs
// began, which is nothing once that does not matter any more. The state opens
// neither.
type RateWindow struct {
	Of     string `msgpack:"o"`
	Window []byte `msgpack:"b,omitempty"`
}

// PutNamespace records what is said of a namespace, in place of what was.
// (Version 2)
type PutNamespace struct {
	Name string `msgpack:"n"`
	// Record is what is said as EncodeRecord wrote it, or empty for nothing.
	Record []byte `msgpack:"-"`
}

func (*KeepRates) kind() byte    { return 'l' }
func (*PutNamespace) kind() byte { return 'S' }

func (*KeepRates) blobs() [][]byte      { return nil }
func (c *PutNamespace) blobs() [][]byte { return [][]byte{c.Record} }

func (*KeepRates) take(b [][]byte) error      { return only(b) }
func (c *PutNamespace) take(b [][]byte) error { return only(b, &c.Record) }
