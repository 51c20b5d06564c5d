package state

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
)

// stagedFor is how long what was staged waits for its run.
const stagedFor = time.Hour

// Sweep removes what nobody asks for any more: keys of runs whose time is
// over, events of more than an hour ago, letters of jobs that were deleted, what is left of runs that were forgotten, and what was staged an hour
// ago or earlier for a run that was not created since. It goes in steps and
// may be cut short and repeated at any time.
func (s *State) Sweep(ctx context.Context) error {
	now := s.now()
	if err := s.sweepKeys(ctx, now.UnixNano()); err != nil {
		return err
	}
	if err := s.sweepEvents(ctx, now.Add(-eventFor).UnixNano()); err != nil {
		return err
	}
	if err := s.sweepLetters(ctx); err != nil {
		return err
	}
	return s.sweepStaged(ctx, now.Add(-stagedFor).UnixNano())
}

// sweepPage is how much is looked for at once, so that no view is held long.
const sweepPage = 256

func (s *State) sweepKeys(ctx context.Context, now int64) error {
	for from := []byte(nil); ; {
		page, err := s.page([]byte("K"), from)
		if err != nil || len(page) == 0 {
			return err
		}
		var free []wire.Command
		for _, key := range page {
			if len(key) < 9 || disordered(key[1:]) > now {
				break
			}
			names := bytes.Split(key[9:], []byte{0})
			if len(names) != 4 {
				return fmt.Errorf("state: record %q of a key: %w", key, store.ErrCorrupt)
			}
			free = append(free, &wire.FreeKey{Namespace: string(names[0]), Job: string(names[1]), Key: string(names[2]), At: now})
		}
		if err := s.steps(ctx, len(free), func(i int) wire.Command { return free[i] }); err != nil || len(free) < len(page) {
			return err
		}
		from = append(page[len(page)-1], 0)
	}
}

func (s *State) sweepStaged(ctx context.Context, before int64) error {
	for from := []byte(nil); ; {
		page, err := s.page([]byte("g"), from)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, key := range page {
			if err := s.discard(ctx, runOf(key, 0), before); err != nil {
				return err
			}
		}
		from = append(page[len(page)-1], 0)
	}
}

// page returns at most sweepPage keys that begin with prefix, from one on.
func (s *State) page(prefix, from []byte) (keys [][]byte, err error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	for p, err := range v.ScanFrom(prefix, from) {
		if err != nil {
			return nil, err
		}
		if keys = append(keys, bytes.Clone(p.Key)); len(keys) == sweepPage {
			break
		}
	}
	return keys, nil
}
