package trigger

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	_ "time/tzdata" // so that every zone is there on every machine
)

// zones caches what Zone returned, because a zone is parsed each time it is
// loaded. What is in it changes no answer.
var zones sync.Map

// Zone returns the zone of an IANA name, such as "Europe/Berlin"; an empty
// name is UTC. Names that mean another zone on another machine, "Local" among
// them, are refused.
func Zone(name string) (*time.Location, error) {
	switch {
	case name == "" || name == "UTC":
		return time.UTC, nil
	case name == "Local" || name == "localtime" || name == "posixrules" || name == "Factory":
		return nil, fmt.Errorf("trigger: Zone %q: want the name of a place, as in Europe/Berlin: this one differs from machine to machine", name)
	case strings.HasPrefix(name, "right/") || strings.HasPrefix(name, "posix/"):
		return nil, fmt.Errorf("trigger: Zone %q: want the name without %q", name, name[:6])
	}
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("trigger: Zone %q: want a name of the IANA time zone database, as in Europe/Berlin", name)
	}
	zones.Store(name, z)
	return z, nil
}

// ZoneVersion returns a short text that changes when the rules of a zone do,
// for the years 2000 to 2060: if what is stored of a trigger was made under
// another version, its next fire must be computed anew. It is taken from the
// rules themselves, so that a new release of the database that leaves the zone
// as it was changes nothing.
func ZoneVersion(name string) (string, error) {
	z, err := Zone(name)
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	last := time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)
	for t := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); !t.IsZero() && t.Before(last); {
		s := stretchAt(t, z)
		h.Write(binary.AppendVarint(binary.AppendVarint(nil, t.Unix()), int64(s.off)))
		t = s.end
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
