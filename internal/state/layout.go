package state

import (
	"errors"
	"fmt"

	"github.com/musterhq/muster/internal/store"
)

// The layouts of stores that this program takes over from older ones.
const (
	// oldLayout is the one before lines: all that wait in the order of priority
	// and age, under "p".
	oldLayout = 2
	// lineLayout is the one before short journals: all are records, which this
	// program reads as well.
	lineLayout = 3
	// shortLayout is the one before runs were listed in the order of creation.
	shortLayout = 4
	// aloneLayout is the one before lots: each run has records of its own.
	aloneLayout = 5
)

// migrate makes of a store with an older layout one with this program's: one that
// this server wrote before it was upgraded, or that came with a snapshot. It
// refuses a layout that is later or unknown. After a crash in the middle it is
// repeated, since the store says that it has the old layout until all is done.
func (f *fsm) migrate(v *store.Snapshot) error {
	b, err := v.Get(versionKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil // it is empty
	}
	if err != nil {
		return err
	}
	layout := 0
	if len(b) == 1 {
		layout = int(b[0])
	}
	switch layout {
	case layoutVersion, aloneLayout:
		return nil
	case oldLayout:
		err = f.migrateLines()
		fallthrough
	case lineLayout, shortLayout:
		if err == nil {
			err = f.migrateListed()
		}
		return err
	}
	return fmt.Errorf("%w: the store has layout %d, this program knows %d: use one of the version that wrote it", ErrBroken, b, layoutVersion)
}
