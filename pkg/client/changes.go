package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/musterhq/muster/pkg/api"
)

// ChangeQuery says which changes of a namespace are wanted. The zero value is all
// of them, from now on.
type ChangeQuery struct {
	// Job is the one that they are to be of, with its runs. Empty means all, and
	// those of bulk operations.
	Job string
	// After is the ID of a change, of which those behind it are wanted.
	After string
}

// FollowChanges yields what changes of the runs, jobs and bulk operations of a
// namespace, until ctx ends. What breaks off is taken up again behind the last
// that was there. A change whose What is api.Reset comes first, unless After says
// where to go on, and whenever some are not known any more: who lists then what
// matters to him, and takes in what follows, knows how everything is.
func (c *Client) FollowChanges(ctx context.Context, namespace string, q ChangeQuery) iter.Seq2[api.Change, error] {
	return func(yield func(api.Change, error) bool) {
		r := get("namespaces", namespace, "changes").with("job", q.Job).say("Last-Event-ID", q.After)
		err := c.follow(ctx, r, func(e *event) (done bool, err error) {
			var change api.Change
			if err := json.Unmarshal(e.data, &change); err != nil {
				return false, fmt.Errorf("client: changes of namespace %s: %w", namespace, err)
			}
			return !yield(change, nil), nil
		})
		if err != nil {
			yield(api.Change{}, err)
		}
	}
}
