package transport

import "context"

type aheadKey struct{}

// Ahead returns a context for calls and streams by which nodes agree with each
// other. Every other call may wait, for as long as it likes, for what they bring
// about, such as a leader; as many calls as a session takes may do so at a time.
// Some streams of each session are kept for those who are ahead, who must be
// answered without waiting for any other call.
func Ahead(ctx context.Context) context.Context { return context.WithValue(ctx, aheadKey{}, true) }

func isAhead(ctx context.Context) bool { return ctx.Value(aheadKey{}) != nil }
