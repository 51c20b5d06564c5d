package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"go.etcd.io/bbolt"
)

// Set stores value under key beside the log. It is on disk when Set returns.
func (l *Log) Set(key, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("store: %s: value of %q has %d bytes, the limit is %d: %w", l.path, key, len(value), MaxValue, ErrTooLarge)
	}
	return l.wrap("write to", l.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(stableBucket).Put(key, seal(nil, key, value))
	}))
}

// Value returns a copy of what Set stored under key, or ErrNotFound.
func (l *Log) Value(key []byte) ([]byte, error) {
	var value []byte
	err := l.view(func(tx *bbolt.Tx) error {
		record := tx.Bucket(stableBucket).Get(key)
		if record == nil {
			return ErrNotFound
		}
		v, err := unseal(key, record)
		value = append([]byte{}, v...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: %s: value of %q: %w", l.path, key, l.known(err))
	}
	return value, nil
}

// SetUint64 stores a number under key, as Set does.
func (l *Log) SetUint64(key []byte, n uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// Uint64 returns the number that SetUint64 stored under key, or ErrNotFound.
func (l *Log) Uint64(key []byte) (uint64, error) {
	value, err := l.Value(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("store: %s: value of %q has %d bytes, a number has 8: %w", l.path, key, len(value), ErrCorrupt)
	}
	return binary.BigEndian.Uint64(value), nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
