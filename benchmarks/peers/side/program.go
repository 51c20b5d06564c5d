package side

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"
)

// program has a program do the work, which reads w and writes its measure.
func program(ctx context.Context, w Work, name string, args ...string) (m Measure, err error) {
	in, err := json.Marshal(w)
	if err != nil {
		return m, err
	}
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.WaitDelay = w.Dir, 5*time.Second
	var out, said bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(in), &out, &said
	if err := c.Run(); err != nil {
		return m, fmt.Errorf("%w: %.2000s", err, said.String())
	}
	return m, json.Unmarshal(out.Bytes(), &m)
}
