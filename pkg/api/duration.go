package api

import (
	"fmt"
	"strings"
	"time"
)

// Duration is a length of time, written as in "1h30m" or "250ms".
type Duration time.Duration

// String returns the duration without the units that are zero: 5m, not 5m0s.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

// MarshalText writes the duration as String has it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("api: duration %.40q: want one as in 30s, 5m or 1h30m", b)
	}
	*d = Duration(v)
	return nil
}
