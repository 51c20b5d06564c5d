package side

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	scriptWordsSort = `cat "$INPUT"/in-* | tr -s ' ' '\n' | sort $SORT | uniq -c >"$OUTPUT"/out.txt`
	scriptWordsAwk  = `awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' "$INPUT"/in-* >"$OUTPUT"/out.txt`
	scriptSort      = `sort $SORT -o "$OUTPUT"/out.txt "$INPUT"/in-*`
	scriptGroupSort = `sort $SORT -k1,1 "$INPUT"/in-* | awk -F'\t' '$1 "" != k "" || NR == 1 { if (NR > 1) print k "\t" s; k = $1 ""; s = 0 } { s += $2 } END { print k "\t" s }' >"$OUTPUT"/out.txt`
	scriptGroupAwk  = `awk -F'\t' '{ s[$1] += $2 } END { for (k in s) print k "\t" s[k] }' "$INPUT"/in-* >"$OUTPUT"/out.txt`
)

var coreutilsData = []Side{
	shell(WordCount, "coreutils", "tr, sort and uniq", scriptWordsSort, "sort"),
	shell(WordCount, "awk", "awk", scriptWordsAwk, "awk"),
	shell(Sort, "coreutils", "GNU sort", scriptSort, "sort"),
	shell(GroupBy, "coreutils", "sort and awk", scriptGroupSort, "sort"),
	shell(GroupBy, "awk", "awk", scriptGroupAwk, "awk"),
}

func shell(kind, name, label, script, program string) Side {
	return Side{
		Kind: kind, Name: name, Label: label, About: script + " (LC_ALL=C; SORT is --parallel=CORES -T DIR, and -S if there is a bound of memory)",
		Missing: func() error {
			if _, err := exec.LookPath(program); err != nil {
				return fmt.Errorf("side: no %s in PATH: install it", program)
			}
			return nil
		},
		Needs: program,
		Version: func() string {
			if program == "awk" {
				return output("awk", "-W", "version")
			}
			return output(program, "--version")
		},
		Do: func(ctx context.Context, w Work) (Measure, error) {
			if err := os.MkdirAll(w.Output, 0o755); err != nil {
				return Measure{}, err
			}
			sort := fmt.Sprintf("--parallel=%d -T %s", w.Cores, w.Dir)
			if w.Memory > 0 {
				sort += fmt.Sprintf(" -S %dk", w.Memory>>10)
			}
			return timed(func() error {
				return run(ctx, w.Dir, []string{"LC_ALL=C", "INPUT=" + w.Input, "OUTPUT=" + w.Output, "SORT=" + sort}, "sh", "-ec", script)
			})
		},
	}
}

// run runs a program to its end, in a group that ends with ctx as a whole. One
// that complains has failed, whatever its status says of the last in a pipe.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %.500s", name, err, out)
	}
	if len(out) > 0 {
		return fmt.Errorf("%s: it complains: %.500s", name, out)
	}
	return nil
}

// output returns the first line that a program prints.
func output(name string, args ...string) string {
	c := exec.Command(name, args...)
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return err.Error()
	}
	return line
}
