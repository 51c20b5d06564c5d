package state

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/pkg/job"
)

// What was asked for is kept by the time at which that was recorded, the latest
// first, as it is read. So a record that is written twice is there once, and the
// oldest are found when there are too many.

const (
	// maxAudit bounds a record, encoded.
	maxAudit = 8 << 10
	// forgetTogether is how many records one command removes at most.
	forgetTogether = 256
	// auditScan is how many records a page looks at, whether they match or not.
	auditScan = 20_000
)

// auditKey sorts the latest first.
func auditKey(at int64, id string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{'p'}, ^ordered(at)), named(0, id)[1:]...)
}

// auditOf returns the time and ID in a key of auditKey.
func auditOf(key []byte) (at int64, id string, err error) {
	if len(key) < 10 || key[0] != 'p' {
		return 0, "", fmt.Errorf("state: record %q of an audit: %w", key, store.ErrCorrupt)
	}
	return int64(^binary.BigEndian.Uint64(key[1:]) ^ 1<<63), string(key[9 : len(key)-1]), nil
}

// Record keeps the record of something that somebody asked for. It may be
// repeated. Texts that are too long are cut off.
func (s *State) Record(ctx context.Context, a job.Audit) error {
	if err := checkName("audit ID", a.ID); err != nil {
		return err
	}
	for _, text := range []*string{&a.Who, &a.From, &a.Verb, &a.Namespace, &a.Object, &a.Outcome} {
		*text = cut(*text, maxWhat)
	}
	a.At = utc(a.At)
	c := &wire.RecordAudit{ID: a.ID, At: a.At.UnixNano()}
	var err error
	if c.Record, err = encode(a); err != nil {
		return err
	}
	_, err = s.propose(ctx, c)
	return err
}

func (tx *change) recordAudit(c *wire.RecordAudit) (result, error) {
	if len(c.Record) > maxAudit {
		return refuse(ErrInvalid, "audit record %q takes %d bytes, the limit is %d", c.ID, len(c.Record), maxAudit)
	}
	return result{}, tx.batch.Put(auditKey(c.At, c.ID), c.Record)
}

// Audit returns the records that are asked for, the latest first. A page may
// have fewer than its limit, or none, and still a next one: it looks at so many
// records and no more.
func (s *State) Audit(q job.AuditQuery) (page job.AuditPage, err error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	from, err := auditFrom(&q)
	if err != nil {
		return page, err
	}
	v, err := s.view()
	if err != nil {
		return page, err
	}
	defer v.Close()
	page.Records = []job.Audit{}
	looked := 0
	for p, err := range v.ScanFrom([]byte("p"), from) {
		if err != nil {
			return page, err
		}
		if len(page.Records) == q.Limit || looked == auditScan {
			page.Next = hex.EncodeToString(p.Key[1:])
			break
		}
		looked++
		var a job.Audit
		if err := wire.DecodeRecord(p.Value, &a); err != nil {
			return page, err
		}
		a.At = utc(a.At)
		if a.At.Before(q.Since) {
			break
		}
		if q.Matches(&a) {
			page.Records = append(page.Records, a)
		}
	}
	return page, nil
}

// auditFrom returns the key to begin with.
func auditFrom(q *job.AuditQuery) ([]byte, error) {
	if q.Cursor != "" {
		b, err := hex.DecodeString(q.Cursor)
		if err != nil || len(b) < 9 || len(b) > maxName+9 {
			return nil, fmt.Errorf("%w: Cursor %.40q: want the Next of a page", ErrInvalid, q.Cursor)
		}
		return append([]byte{'p'}, b...), nil
	}
	if !q.Until.IsZero() {
		return auditKey(q.Until.UnixNano()-1, ""), nil
	}
	return []byte("p"), nil
}

// ForgetAudit removes all records but the latest keep, and those from before a
// time. It may be repeated.
func (s *State) ForgetAudit(ctx context.Context, keep int, before time.Time) error {
	for {
		c, err := s.oldAudits(keep, before)
		if err != nil || len(c.IDs) == 0 {
			return err
		}
		if _, err := s.propose(ctx, c); err != nil {
			return err
		}
	}
}

// oldAudits returns a command that removes records of which there are too many.
func (s *State) oldAudits(keep int, before time.Time) (*wire.ForgetAudit, error) {
	v, err := s.view()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	c, n := &wire.ForgetAudit{}, 0
	for p, err := range v.Scan([]byte("p")) {
		if err != nil {
			return nil, err
		}
		at, id, err := auditOf(p.Key)
		if err != nil {
			return nil, err
		}
		if n++; n <= keep && !timeOf(at).Before(before) {
			continue
		}
		c.IDs, c.Ats = append(c.IDs, id), append(c.Ats, at)
		if len(c.IDs) == forgetTogether {
			break
		}
	}
	return c, nil
}

func (tx *change) forgetAudit(c *wire.ForgetAudit) (result, error) {
	for i, id := range c.IDs {
		if err := tx.batch.Delete(auditKey(c.Ats[i], id)); err != nil {
			return result{}, err
		}
	}
	return result{}, nil
}

func checkAudits(c *wire.ForgetAudit) error {
	if len(c.IDs) > forgetTogether {
		return fmt.Errorf("%w: %d audit records to forget at once, the limit is %d", ErrInvalid, len(c.IDs), forgetTogether)
	}
	var errs []error
	for _, id := range c.IDs {
		errs = append(errs, checkPart("audit ID", id))
	}
	return errors.Join(errs...)
}
