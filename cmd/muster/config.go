package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// What an agent is told is said by flags, by the environment or by a file, and
// the first of them that says something counts; so is where verbs ask. A setting has one name: the flag
// --log-space is MUSTER_LOG_SPACE in the environment and log-space in the file.

// originKey is where a flag has what said its value, if that was not the command
// line.
const originKey = "muster_origin"

// settingsKey is where a flag says that it is a setting, or a command that all
// settings of an agent that it has are said to it too.
const settingsKey = "muster_settings"

// settable makes settings of flags, which a file may say then: a flag of the
// same name may be something else for another verb.
func settable(flags *pflag.FlagSet, names ...string) {
	if flags.Lookup("config") == nil {
		flags.String("config", "", "file with settings in YAML, named as these flags are, which count for more (default: MUSTER_CONFIG)")
	}
	for _, name := range names {
		_ = flags.SetAnnotation(name, settingsKey, []string{"this"}) // which there is
	}
}

// knownSettings are all that the environment and a file may say.
func knownSettings() *pflag.FlagSet {
	all := agentCommand().Flags()
	all.AddFlagSet(askIn(&cobra.Command{}, nil).Flags())
	return all
}

// settle puts what the environment and the file say into the flags of a command
// that the command line says nothing of.
func settle(c *cobra.Command, _ []string) error {
	flags := c.Flags()
	if flags.Lookup("config") == nil {
		return nil
	}
	path, err := flags.GetString("config")
	if err != nil {
		return err
	}
	said, err := readConfig(cmp.Or(path, os.Getenv("MUSTER_CONFIG")))
	if err != nil {
		return err
	}
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || !isSetting(f.Name) || c.Annotations[settingsKey] == "" && len(f.Annotations[settingsKey]) == 0 {
			return
		}
		if text, ok := os.LookupEnv(variable(f.Name)); ok {
			errs = append(errs, setting{origin: variable(f.Name), values: []string{text}}.put(f))
		} else if s, ok := said[f.Name]; ok {
			errs = append(errs, s.put(f))
		}
	})
	return errors.Join(errs...)
}

// isSetting reports whether a flag is said by the environment and the file too.
func isSetting(name string) bool { return name != "config" && name != "help" }

// variable returns what a setting is called in the environment.
func variable(name string) string {
	return "MUSTER_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// setting is what the environment or a file says of a flag.
type setting struct {
	origin string
	values []string
	list   bool
}

func (s setting) put(f *pflag.Flag) error {
	var err error
	many, ok := f.Value.(pflag.SliceValue)
	switch {
	case ok && s.list:
		err = many.Replace(s.values)
	case s.list:
		err = errors.New("want one value, not a list")
	default:
		err = f.Value.Set(s.values[0])
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w: %w", s.origin, s.values, err, errUsage)
	}
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[originKey] = []string{s.origin}
	return nil
}

// readConfig reads a file of settings. What is no setting is refused: it may be
// one that was misspelled.
func readConfig(path string) (map[string]setting, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w: %w", err, errUsage)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("--config %s: %w: %w", path, err, errUsage)
	}
	if len(doc.Content) == 0 { // nothing but comments
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("--config %s: want settings, as in servers: 3: %w", path, errUsage)
	}
	known := knownSettings()
	said := map[string]setting{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		s := setting{origin: fmt.Sprintf("%s:%d", path, key.Line)}
		if known.Lookup(key.Value) == nil || !isSetting(key.Value) {
			return nil, fmt.Errorf("%s: there is no setting %q%s: %w", s.origin, key.Value, meant(key.Value, known), errUsage)
		}
		if _, twice := said[key.Value]; twice {
			return nil, fmt.Errorf("%s: %s is said before: leave one of them out: %w", s.origin, key.Value, errUsage)
		}
		switch value.Kind {
		case yaml.ScalarNode:
			s.values = []string{value.Value}
		case yaml.SequenceNode:
			s.list = true
			for _, v := range value.Content {
				if v.Kind != yaml.ScalarNode {
					return nil, fmt.Errorf("%s: %s: want a list of plain values: %w", s.origin, key.Value, errUsage)
				}
				s.values = append(s.values, v.Value)
			}
		default:
			return nil, fmt.Errorf("%s: %s: want a value or a list: %w", s.origin, key.Value, errUsage)
		}
		said[key.Value] = s
	}
	return said, nil
}

// meant guesses which setting a name that is none was to be.
func meant(name string, known *pflag.FlagSet) string {
	best, least := "", 3 // so many letters may be wrong
	known.VisitAll(func(f *pflag.Flag) {
		if d := distance(name, f.Name); isSetting(f.Name) && d < least {
			best, least = f.Name, d
		}
	})
	if best == "" {
		return ": see muster agent --help for those there are"
	}
	return fmt.Sprintf(": was it to be %q?", best)
}

// distance returns how many letters have to be changed, added or left out to make
// one name of another.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, to the left
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "see what an agent is told, and by what", Args: args(0, 0), RunE: help}
	c.AddCommand(configPrintCommand())
	return c
}

func configPrintCommand() *cobra.Command {
	var l listing
	var origin bool
	c := agentCommand()
	c.Use, c.Short = "print", "print the settings of an agent that is started with the same flags"
	c.Long = `Print shows what an agent is told by its flags, by the environment and by the file
that --config names, in this order, and else by default. With --origin it says which
of them said it. Keys are not shown.`
	c.Example = `  muster config print --origin --config /etc/muster/agent.yaml
  MUSTER_SERVERS=3 muster config print --origin -o json`
	c.RunE = func(c *cobra.Command, _ []string) error {
		all := settings(c.Flags())
		if origin {
			return l.show(all, "SETTING\tVALUE\tORIGIN", func(put func(...any)) {
				for _, s := range all {
					put(s.Setting, s.Value, s.Origin)
				}
			})
		}
		for i := range all {
			all[i].Origin = ""
		}
		return l.show(all, "SETTING\tVALUE", func(put func(...any)) {
			for _, s := range all {
				put(s.Setting, s.Value)
			}
		})
	}
	c.Flags().BoolVar(&origin, "origin", false, "say where each comes from: flag, a variable, a line of the file, or default")
	return l.add(c)
}

// settled is a setting as an agent has it.
type settled struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	Origin  string `json:"origin,omitempty"`
}

// settings returns what the flags of an agent say, in the order of their names.
func settings(flags *pflag.FlagSet) []settled {
	known := agentCommand().Flags()
	var all []settled
	flags.VisitAll(func(f *pflag.Flag) {
		if known.Lookup(f.Name) == nil || !isSetting(f.Name) {
			return
		}
		s := settled{Setting: f.Name, Value: f.Value.String(), Origin: "default"}
		if many, ok := f.Value.(pflag.SliceValue); ok {
			s.Value = strings.Join(many.GetSlice(), ",")
		}
		if f.Name == "key" && s.Value != "" {
			s.Value = "(not shown)"
		}
		if said := f.Annotations[originKey]; len(said) > 0 {
			s.Origin = said[0]
		} else if f.Changed {
			s.Origin = "flag"
		}
		all = append(all, s)
	})
	return all
}
