package state

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// listedRun is a run that may be one of those that are asked for.
type listedRun struct {
	id      job.RunID
	born    uint64
	created int64
	status  *wire.RunStatus // nil if it was not read
	lot     *openLot        // that it is listed with, or nil
}

// read returns the run, which has the status st.
func (s *listedRun) read(g getter, st *wire.RunStatus) (job.Run, error) {
	if s.lot != nil {
		return s.lot.read(s.id, st)
	}
	return readRun(g, s.id, st)
}

// before reports whether s was created before o.
func (s *listedRun) before(o *listedRun) bool {
	return s.born < o.born || s.born == o.born && s.id < o.id
}

// place is where s is in the order of creation, as text.
func (s *listedRun) place() string { return strconv.FormatUint(s.born, 10) + " " + string(s.id) }

// parsePlace returns what place made text of, or nil of none.
func parsePlace(text string) (*listedRun, error) {
	if text == "" {
		return nil, nil
	}
	number, id, ok := strings.Cut(text, " ")
	born, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return nil, fmt.Errorf("%w: After %.100q: want the Next of the page before in the same order, or nothing", ErrInvalid, text)
	}
	return &listedRun{born: born, id: job.RunID(id)}, nil
}

// listed yields the runs of the list that q asks for, in its order. Without a
// namespace it is those of all namespaces.
func listed(v *store.Snapshot, q *job.RunQuery) (iter.Seq2[listedRun, error], error) {
	after, err := parsePlace(q.After)
	if err != nil {
		return nil, err
	}
	tag := ""
	if len(q.Tags) > 0 {
		tag = q.Tags[0]
	}
	if q.Namespace != "" {
		return listedBehind(v, listedIn(q.Namespace, tag), after, q.Backward), nil
	}
	namespaces, err := namespacesListed(v)
	if err != nil {
		return nil, err
	}
	all := make([]iter.Seq2[listedRun, error], 0, len(namespaces))
	for _, namespace := range namespaces {
		all = append(all, listedBehind(v, listedIn(namespace, tag), after, q.Backward))
	}
	return merged(all, q.Backward), nil
}

// listedBehind yields the runs of one list behind a place.
func listedBehind(v *store.Snapshot, list []byte, after *listedRun, backward bool) iter.Seq2[listedRun, error] {
	return func(yield func(listedRun, error) bool) {
		pairs, err := listRecords(v, list, after, backward)
		if err != nil {
			yield(listedRun{}, err)
			return
		}
		for p, err := range pairs {
			var at listedRun
			runs := uint64(0)
			if err == nil {
				at, runs, err = decodeListed(p, len(list))
			}
			if runs == 0 || err != nil {
				if !yield(at, err) || err != nil {
					return
				}
				continue
			}
			l, err := readOwnStatus(v, at.id)
			if err == nil && !isLot(l) {
				err = fmt.Errorf("state: lot %q is listed and has no status: %w", at.id, store.ErrCorrupt)
			}
			if err != nil {
				yield(at, err)
				return
			}
			o := &openLot{g: v, id: at.id, status: l}
			for at, err := range o.runs(backward) {
				if err == nil && after != nil && (at.born == after.born || at.born < after.born != backward) {
					continue
				}
				if !yield(at, err) || err != nil {
					return
				}
			}
		}
	}
}

// listRecords yields the records of one list behind a place, from the lot on that
// the run there is listed with, if it is.
func listRecords(v *store.Snapshot, list []byte, after *listedRun, backward bool) (iter.Seq2[store.Pair, error], error) {
	switch {
	case after == nil && backward:
		return v.ScanBack(list, nil), nil
	case after == nil:
		return v.Scan(list), nil
	case backward:
		return v.ScanBack(list, listedKey(list, after.born, after.id)), nil
	}
	within, err := lotBefore(v, after.id)
	if err != nil {
		return nil, err
	}
	if within != nil {
		return v.ScanFrom(list, listedKey(list, within.status.Born, within.id)), nil
	}
	return v.ScanFrom(list, append(listedKey(list, after.born, after.id), 0)), nil
}

// decodeListed returns a run that is listed, or a lot and of how many runs it is.
func decodeListed(p store.Pair, list int) (at listedRun, runs uint64, err error) {
	rest, n := p.Key[list:], 8
	if len(p.Value) > 8 {
		runs, n = binary.Uvarint(p.Value[8:])
		n += 8
	}
	if len(rest) < 10 || len(p.Value) != n || n < 8 {
		return at, 0, fmt.Errorf("state: record %q of a run that is listed: %w", p.Key, store.ErrCorrupt)
	}
	return listedRun{
		id: job.RunID(rest[8 : len(rest)-1]), born: binary.BigEndian.Uint64(rest), created: disordered(p.Value),
	}, runs, nil
}

// listedStatus returns the status of a run that is listed.
func listedStatus(v *store.Snapshot, id job.RunID) (*wire.RunStatus, error) {
	st, err := readStatus(v, id)
	if err == nil && st == nil {
		err = fmt.Errorf("state: run %q is listed and has no status: %w", id, store.ErrCorrupt)
	}
	if err != nil {
		return st, err
	}
	return asSeen(v, st)
}

// namespacesListed returns the namespaces that have runs, in their order.
func namespacesListed(v *store.Snapshot) (all []string, err error) {
	lists := v.Seeker([]byte{listedInNamespace})
	defer lists.Close()
	for start := []byte{listedInNamespace}; ; {
		p, ok, err := lists.Seek(start, []byte{listedInNamespace})
		if err != nil || !ok {
			return all, err
		}
		name, _, _ := strings.Cut(string(p.Key[1:]), "\x00")
		all = append(all, name)
		start = append(append([]byte{listedInNamespace}, name...), 1) // above all of its runs
	}
}

// merged yields what several yield in one order.
func merged(all []iter.Seq2[listedRun, error], backward bool) iter.Seq2[listedRun, error] {
	return func(yield func(listedRun, error) bool) {
		var heads []listedRun // of those that have more
		var nexts []func() (listedRun, error, bool)
		var stops []func()
		defer func() {
			for _, stop := range stops {
				stop()
			}
		}()
		for _, one := range all {
			next, stop := iter.Pull2(one)
			stops = append(stops, stop)
			at, err, ok := next()
			switch {
			case err != nil:
				yield(at, err)
				return
			case ok:
				heads, nexts = append(heads, at), append(nexts, next)
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if heads[i].before(&heads[first]) != backward {
					first = i
				}
			}
			if !yield(heads[first], nil) {
				return
			}
			at, err, ok := nexts[first]()
			switch {
			case err != nil:
				yield(at, err)
				return
			case ok:
				heads[first] = at
			default:
				last := len(heads) - 1
				heads[first], nexts[first] = heads[last], nexts[last]
				heads, nexts = heads[:last], nexts[:last]
			}
		}
	}
}
