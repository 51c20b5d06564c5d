package httpapi

import (
	"strconv"
	"strings"
)

// etag is a revision as a header has it.
func etag(revision uint64) string { return strconv.Quote(strconv.FormatUint(revision, 10)) }

// expected returns the revision that If-Match asks for, or zero if it is left
// out. A revision is strong: a weak tag, or several, make no sense of one.
func expected(ifMatch string) (uint64, error) {
	if ifMatch == "" || ifMatch == "*" {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(ifMatch, `"`), 10, 64)
	if err != nil || n == 0 || ifMatch != etag(n) {
		return 0, invalid("header.If-Match", `want a revision in quotes, as the ETag of the job has it: "3"`, ifMatch)
	}
	return n, nil
}
