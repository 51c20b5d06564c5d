package job

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the tags of a run.
const (
	// MaxTags is how many tags a run may have.
	MaxTags = 16
	// MaxTag is how many bytes a tag may have.
	MaxTag = 64
)

// CheckTags returns which tag can't be, and what would be right. A list of them
// has commas between, so none has one.
func CheckTags(tags []string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("job: Tags has %d tags: want at most %d", len(tags), MaxTags)
	}
	for i, tag := range tags {
		if tag == "" || len(tag) > MaxTag || !utf8.ValidString(tag) || strings.ContainsFunc(tag, notInTags) {
			return fmt.Errorf("job: Tags[%d] %.100q: want 1 to %d bytes without spaces and commas", i, tag, MaxTag)
		}
	}
	return nil
}

func notInTags(c rune) bool { return c == ',' || !unicode.IsPrint(c) || unicode.IsSpace(c) }

// AddTags gives the runs of s more tags, but for those that it has.
func (s *Spec) AddTags(tags ...string) {
	all := slices.Clip(s.Tags) // another spec may have the same
	for _, tag := range tags {
		if !slices.Contains(all, tag) {
			all = append(all, tag)
		}
	}
	s.Tags = all
}
