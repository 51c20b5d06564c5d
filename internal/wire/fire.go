package wire

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/musterhq/muster/pkg/job"
)

// FireJob settles the fires of a declared job up to Cursor: it makes Runs, as
// far as the job's policy for overlap lets it, and records what was skipped.
// It is carried out only if the job is at that Revision and was settled Seq
// times, so that what two leaders decide, or one decides twice, happens once.
type FireJob struct {
	Namespace string        `msgpack:"n"`
	Name      string        `msgpack:"j"`
	Revision  uint64        `msgpack:"r"`
	Seq       uint64        `msgpack:"q"`
	Cursor    int64         `msgpack:"c"`
	Wake      int64         `msgpack:"w,omitempty"`
	Ended     bool          `msgpack:"e,omitempty"`
	At        int64         `msgpack:"a"`
	Skipped   []job.Skipped `msgpack:"s,omitempty"`
	Runs      []*CreateRun  `msgpack:"-"`
}

func (*FireJob) kind() byte { return 'T' }

func (c *FireJob) blobs() [][]byte {
	blobs := make([][]byte, 0, len(c.Runs))
	for _, run := range c.Runs {
		b, err := EncodeCommand(run)
		if err != nil {
			b = nil // which whole refuses
		}
		blobs = append(blobs, b)
	}
	return blobs
}

// whole returns what is wrong with a run that could not be encoded. It must
// not get into the log: who meets a command that can't be read goes no further.
func (c *FireJob) whole(blobs [][]byte) error {
	for i, b := range blobs {
		if len(b) == 0 {
			_, err := EncodeCommand(c.Runs[i])
			return err
		}
	}
	return nil
}

// Digest tells the settlement that c is from others: it has all of it but the
// content of the runs, which their IDs stand for, and the time of the proposal.
func (c *FireJob) Digest() uint64 {
	var b []byte
	for _, n := range []uint64{c.Revision, c.Seq, uint64(c.Cursor), uint64(c.Wake), uint64(len(c.Runs))} {
		b = binary.AppendUvarint(b, n)
	}
	for _, run := range c.Runs {
		b = appendBytes(b, string(run.Run))
	}
	for _, k := range c.Skipped {
		b = appendBytes(b, k.Cause)
		for _, n := range []int64{k.From.UnixNano(), k.To.UnixNano(), int64(k.Count)} {
			b = binary.AppendVarint(b, n)
		}
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

func (c *FireJob) take(blobs [][]byte) error {
	for _, b := range blobs {
		n := 0
		for one, err := range Commands(b) {
			if err != nil {
				return err
			}
			run, ok := one.(*CreateRun)
			if !ok {
				return fmt.Errorf("wire: a fire with a command %q in place of a run", one.kind())
			}
			c.Runs = append(c.Runs, run)
			n++
		}
		if n != 1 {
			return fmt.Errorf("wire: a fire with %d runs in place of one", n)
		}
	}
	return nil
}

// JobStatus is what the state keeps beside the spec of a declared job. Times
// are nanoseconds since 1970.
type JobStatus struct {
	Revision uint64 `msgpack:"r"`
	Saved    int64  `msgpack:"t"`
	Chunks   int    `msgpack:"k,omitempty"`
	// Overlap, Limit and Again are what matters of the schedule here.
	Overlap string `msgpack:"o,omitempty"`
	Limit   int    `msgpack:"ol,omitempty"`
	Again   bool   `msgpack:"g,omitempty"` // due when the run before is over

	Cursor    int64         `msgpack:"c,omitempty"`
	Done      uint64        `msgpack:"dn,omitempty"` // the Digest of the last settlement
	Wake      int64         `msgpack:"w,omitempty"`
	Ended     bool          `msgpack:"e,omitempty"`
	Seq       uint64        `msgpack:"q,omitempty"`
	Runs      int           `msgpack:"n,omitempty"`
	Active    []job.RunID   `msgpack:"a,omitempty"`
	Last      job.RunID     `msgpack:"l,omitempty"`
	Causes    []CauseCount  `msgpack:"s,omitempty"`
	Recent    []job.Skipped `msgpack:"rs,omitempty"`
	PausedAt  int64         `msgpack:"pa,omitempty"`
	ResumedAt int64         `msgpack:"ra,omitempty"`
	EndedAt   int64         `msgpack:"ea,omitempty"`
	// Deleted says that there is no job any more, only Active runs of it.
	Deleted bool `msgpack:"x,omitempty"`
	// Keys are what the Active runs were told apart by when they were made, in
	// the same order, and none if nothing was.
	Keys []uint64 `msgpack:"ks,omitempty"`
}

// Begun adds a run to those that are Active. A key of zero is none.
func (s *JobStatus) Begun(id job.RunID, key uint64) {
	if key != 0 || s.Keys != nil {
		keys := make([]uint64, len(s.Active)+1)
		copy(keys, s.Keys)
		keys[len(s.Active)] = key
		s.Keys = keys
	}
	s.Active = append(s.Active, id)
}

// Over removes a run from those that are Active, and reports whether it was
// among them.
func (s *JobStatus) Over(id job.RunID) bool {
	i := slices.Index(s.Active, id)
	if i < 0 {
		return false
	}
	s.Active = slices.Delete(s.Active, i, i+1)
	if i < len(s.Keys) {
		s.Keys = slices.Delete(s.Keys, i, i+1)
	}
	if !slices.ContainsFunc(s.Keys, func(key uint64) bool { return key != 0 }) {
		s.Keys = nil
	}
	return true
}

// Rivals returns the Active runs that one with the key overlaps with: those of
// the same key, or all if it has none.
func (s *JobStatus) Rivals(key uint64) []job.RunID {
	if key == 0 {
		return slices.Clone(s.Active)
	}
	var rivals []job.RunID
	for i, id := range s.Active[:min(len(s.Keys), len(s.Active))] {
		if s.Keys[i] == key {
			rivals = append(rivals, id)
		}
	}
	return rivals
}

// Skip counts fires that made no run, and keeps the latest records of them.
func (s *JobStatus) Skip(k job.Skipped, keep int) {
	i := slices.IndexFunc(s.Causes, func(c CauseCount) bool { return c.Cause == k.Cause })
	if i < 0 {
		i = len(s.Causes)
		s.Causes = append(s.Causes, CauseCount{Cause: k.Cause})
	}
	s.Causes[i].N += k.Count
	s.Recent = append(s.Recent, k)
	s.Recent = s.Recent[max(len(s.Recent)-keep, 0):]
}

// CauseCount is how many fires were skipped for a cause.
type CauseCount struct {
	Cause string `msgpack:"c"`
	N     int    `msgpack:"n"`
}
