package membership_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/musterhq/muster/membership"
)

func Example() {
	ctx := context.Background()
	quiet := slog.New(slog.DiscardHandler)
	first, err := membership.Start(ctx, membership.Config{
		Self:   membership.Member{ID: "first", Roles: []string{"server", "worker"}},
		Logger: quiet,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := membership.Start(ctx, membership.Config{
		Self:   membership.Member{ID: "second", Roles: []string{"worker"}, Slots: 8},
		Seeds:  []string{first.Self().Addr},
		Logger: quiet,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	events, stop := first.Watch()
	for e := range events {
		fmt.Println(e.Member.ID, e.Kind)
		if e.Member.ID == "second" {
			break
		}
	}
	stop()

	_ = second.Leave(ctx)
	_ = first.Leave(ctx)
	// Output:
	// first joined
	// second joined
}
