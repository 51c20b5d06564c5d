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

	// Hears says that letters of the job's inbox are settled: those below
	// Heard have been read, and those in Consumed are not needed any more.
	// Refused is how many were not counted.
	Hears    bool         `msgpack:"h,omitempty"`
	Heard    uint64       `msgpack:"hd,omitempty"`
	Consumed []uint64     `msgpack:"-"`
	Refused  []CauseCount `msgpack:"rf,omitempty"`
	// Memory is what the trigger remembers of them, as EncodeRecord wrote it.
	Memory []byte `msgpack:"-"`
}

// Ahead is the instant ahead of which c is recorded, or zero. One that is makes a
// single run, and that is withdrawn if anything else is recorded of the job before
// the instant has come.
func (c *FireJob) Ahead() int64 {
	if len(c.Runs) != 1 {
		return 0
	}
	return c.Runs[0].Ahead
}

// BeginAhead has the runs begin that were recorded ahead of an instant, all that
// are due up to At. (Version 2)
type BeginAhead struct {
	At int64 `msgpack:"a"`
}

func (*FireJob) kind() byte    { return 'T' }
func (*BeginAhead) kind() byte { return 'I' }

func (*BeginAhead) blobs() [][]byte       { return nil }
func (*BeginAhead) take(b [][]byte) error { return only(b) }

func (c *FireJob) blobs() [][]byte {
	blobs := make([][]byte, 0, len(c.Runs))
	for _, run := range c.Runs {
		b, err := EncodeCommand(run)
		if err != nil {
			b = nil // which whole refuses
		}
		blobs = append(blobs, b)
	}
	if c.Hears {
		blobs = append(blobs, appendSeqs(nil, c.Consumed), c.Memory)
	}
	return blobs
}

// whole returns what is wrong with a run that could not be encoded. It must
// not get into the log: who meets a command that can't be read goes no further.
func (c *FireJob) whole(blobs [][]byte) error {
	for i, b := range blobs[:len(c.Runs)] {
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
	if c.Hears {
		b = appendSeqs(binary.AppendUvarint(b, c.Heard), c.Consumed)
		b = append(b, c.Memory...)
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

func (c *FireJob) take(blobs [][]byte) error {
	if c.Hears {
		n := len(blobs) - 2
		if n < 0 {
			return errShort
		}
		var err error
		if c.Consumed, err = seqs(blobs[n]); err != nil {
			return err
		}
		c.Memory, blobs = blobs[n+1], blobs[:n]
	}
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

// appendSeqs appends numbers, each as the distance from the one before.
func appendSeqs(b []byte, all []uint64) []byte {
	last := uint64(0)
	for _, seq := range all {
		b, last = binary.AppendVarint(b, int64(seq-last)), seq
	}
	return b
}

// seqs returns what appendSeqs appended.
func seqs(b []byte) (all []uint64, err error) {
	last := uint64(0)
	for len(b) > 0 {
		d, n := binary.Varint(b)
		if n <= 0 {
			return nil, errShort
		}
		last += uint64(d)
		all, b = append(all, last), b[n:]
	}
	return all, nil
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
	// Listens is the topics that the job listens to, From the first letter of
	// its inbox that is its own, Heard up to which all were read, and Refused
	// how many were not counted.
	Listens []string     `msgpack:"ls,omitempty"`
	From    uint64       `msgpack:"fr,omitempty"`
	Heard   uint64       `msgpack:"hd,omitempty"`
	Refused []CauseCount `msgpack:"rf,omitempty"`
	// Deleted says that there is no job any more, only Active runs of it.
	Deleted bool `msgpack:"x,omitempty"`
	// Keys are what the Active runs were told apart by when they were made, in
	// the same order, and none if nothing was.
	Keys []uint64 `msgpack:"ks,omitempty"`
	// Ahead is the instant that the run Last was recorded ahead of, and the others
	// are what Cursor, Wake and Last were before it: until that instant the run may
	// be withdrawn.
	Ahead     int64     `msgpack:"ah,omitempty"`
	WasCursor int64     `msgpack:"wc,omitempty"`
	WasWake   int64     `msgpack:"ww,omitempty"`
	WasLast   job.RunID `msgpack:"wl,omitempty"`
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
	s.Causes = counted(s.Causes, k.Cause, k.Count)
	s.Recent = append(s.Recent, k)
	s.Recent = s.Recent[max(len(s.Recent)-keep, 0):]
}

// Refuse counts letters that were not counted.
func (s *JobStatus) Refuse(k CauseCount) { s.Refused = counted(s.Refused, k.Cause, k.N) }

// counted adds to the count of a cause.
func counted(all []CauseCount, cause string, n int) []CauseCount {
	i := slices.IndexFunc(all, func(c CauseCount) bool { return c.Cause == cause })
	if i < 0 {
		i = len(all)
		all = append(all, CauseCount{Cause: cause})
	}
	all[i].N += n
	return all
}

// CauseCount is how many fires were skipped for a cause.
type CauseCount struct {
	Cause string `msgpack:"c"`
	N     int    `msgpack:"n"`
}
