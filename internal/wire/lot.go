package wire

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// Runs that are submitted together, and differ in their Params alone, are
// recorded together: as a lot.

// CreateLot records runs of one job that differ in their Params alone, and begin
// at once under one master. Their IDs are those of job.InLot. (Version 2)
type CreateLot struct {
	Lot    job.RunID `msgpack:"r"`
	Runs   uint64    `msgpack:"n"` // how many
	Master string    `msgpack:"m"`
	Called string    `msgpack:"mn,omitempty"` // the master, by people
	// The others are as CreateRun has them, for each of the runs.
	Namespace string        `msgpack:"ns,omitempty"`
	Job       string        `msgpack:"j,omitempty"`
	Priority  int           `msgpack:"p,omitempty"`
	Created   int64         `msgpack:"t,omitempty"`
	Line      string        `msgpack:"ln,omitempty"`
	KeepFor   time.Duration `msgpack:"rf,omitempty"`
	KeepRuns  int           `msgpack:"rn,omitempty"`
	Tags      []string      `msgpack:"tg,omitempty"`
	// Record is one of the runs as EncodeRecord wrote it, under the ID of the lot
	// and without Params, and Params is those of each, as the state lists them.
	Record []byte `msgpack:"-"`
	Params []byte `msgpack:"-"`
	// Entries is what the journal of each begins with.
	Entries [][]byte `msgpack:"-"`
}

// EndInLot records that runs of a lot have succeeded, and when by the proposer's
// clock. Each had a single task, whose outcome is the last entry of its journal.
// It leaves out those that are not as the lot has them any more. (Version 2)
type EndInLot struct {
	Lot   job.RunID `msgpack:"r"`
	Epoch uint64    `msgpack:"e"`
	At    int64     `msgpack:"a"`
	// First is the number that the last entry of each has.
	First uint64 `msgpack:"f"`
	// Progress is that of each as EncodeRecord wrote it.
	Progress []byte `msgpack:"-"`
	// Last is the last entries of their journals, each by the number that the run
	// has within the lot, as the state lists them.
	Last []byte `msgpack:"-"`
}

// ForgetInLot removes runs of a lot that have ended, by their numbers within it.
// It leaves out those that are not as the lot has them any more. (Version 2)
type ForgetInLot struct {
	Lot  job.RunID `msgpack:"r"`
	Runs []uint64  `msgpack:"n"`
}

func (*CreateLot) kind() byte   { return 'B' }
func (*EndInLot) kind() byte    { return 'U' }
func (*ForgetInLot) kind() byte { return 'b' }

func (c *CreateLot) blobs() [][]byte { return append([][]byte{c.Record, c.Params}, c.Entries...) }
func (c *EndInLot) blobs() [][]byte  { return [][]byte{c.Progress, c.Last} }
func (*ForgetInLot) blobs() [][]byte { return nil }

func (c *CreateLot) take(b [][]byte) error {
	if len(b) < 2 {
		return errShort
	}
	c.Record, c.Params, c.Entries = b[0], b[1], b[2:]
	return nil
}

func (c *EndInLot) take(b [][]byte) error  { return only(b, &c.Progress, &c.Last) }
func (*ForgetInLot) take(b [][]byte) error { return only(b) }
