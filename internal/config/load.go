package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// prefix begins the name of every environment variable that is a setting.
const prefix = "TAOLIGHT_"

// maxFile bounds a settings file, and with it how deep lists can be nested in it. The example with
// every setting in it is a fortieth of this.
const maxFile = 64 << 10

// Sources are the places settings come from.
type Sources struct {
	// Flags are those given on the command line, by their name without dashes, each with its values
	// in order. Flags that were left out must be left out here.
	Flags map[string][]string
	// Environ is the environment as os.Environ gives it.
	Environ []string
	// File is the settings file; it must exist. Empty: TAOLIGHT_CONFIG names it, or it is the first
	// that exists of $XDG_CONFIG_HOME/taolight/taolight.toml (~/.config/…) and
	// /etc/taolight/taolight.toml, if any.
	File string
	// Neuron has the environment's BT_… variables count as well, which are the Python SDK's.
	Neuron bool
}

// Load puts the settings together: flag over environment over file over default.
func Load(src Sources) (*Config, error) {
	env := environment(src.Environ)
	all := Settings()
	c, err := defaults(all)
	if err != nil {
		return nil, err
	}
	dir, noHome := dataDir(env)
	c.DataDir = dir

	if path, must := settingsFile(src.File, env); path != "" {
		text, err := readFile(path)
		switch {
		case err == nil:
			if err := c.apply(path, text, all); err != nil {
				return nil, err
			}
		case must || !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("settings file: %w", err)
		}
	}
	if err := c.applyEnv(env, all, src.Neuron); err != nil {
		return nil, err
	}
	if err := c.applyFlags(src.Flags, all); err != nil {
		return nil, err
	}
	if c.DataDir == "" {
		return nil, noHome
	}
	return c, nil
}

// Parse reads the text of a settings file over the defaults; name stands in errors. What has no
// default is left empty.
func Parse(name string, text []byte) (*Config, error) {
	all := Settings()
	c, err := defaults(all)
	if err != nil {
		return nil, err
	}
	if err := c.apply(name, text, all); err != nil {
		return nil, err
	}
	return c, nil
}

func defaults(all []Setting) (*Config, error) {
	c := &Config{origin: map[string]string{}}
	for _, s := range all {
		c.origin[s.Key] = "default"
		if s.Default == "" {
			continue
		}
		if err := s.set(c, []string{s.Default}); err != nil {
			return nil, fmt.Errorf("default of %s: %w", s.Key, err)
		}
	}
	return c, nil
}

// apply sets what the text of a settings file says.
func (c *Config) apply(name string, text []byte, all []Setting) error {
	if len(text) > maxFile {
		return fmt.Errorf("%s: %w: over %d bytes", name, ErrSyntax, maxFile)
	}
	var doc map[string]any
	md, err := toml.Decode(string(text), &doc)
	if err != nil {
		line := 0
		message := err.Error()
		var pe toml.ParseError
		if errors.As(err, &pe) {
			line, message = pe.Position.Line, pe.Message
		}
		return fmt.Errorf("%s:%d: %w: %s", name, line, ErrSyntax, message)
	}
	var keys []string
	for _, s := range all {
		keys = append(keys, s.Key)
	}
	// In the order of the file, so that the first mistake in it is the one that is told.
	for _, k := range md.Keys() {
		key := strings.Join(k, ".")
		i := slices.IndexFunc(all, func(s Setting) bool { return s.Key == key })
		if i < 0 && isTable(all, key) {
			if _, ok := lookup(doc, k).(map[string]any); ok {
				continue // what is in it follows
			}
			return fmt.Errorf("%s:%d: %s: %w: want a table: [%s]", name, lineOf(text, k), key, ErrValue, key)
		}
		if i < 0 {
			// A strange table is named, not each thing in it.
			for len(k) > 1 && !isTable(all, strings.Join(k[:len(k)-1], ".")) {
				k = k[:len(k)-1]
			}
			key = strings.Join(k, ".")
			return fmt.Errorf("%s:%d: %q: %w%s", name, lineOf(text, k), key, ErrUnknown, meant(strings.ReplaceAll(key, "-", "_"), keys))
		}
		place := name + ":" + strconv.Itoa(lineOf(text, k))
		values, err := texts(lookup(doc, k), all[i])
		if err == nil {
			err = all[i].set(c, values)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", place, key, err)
		}
		c.origin[key] = place
	}
	return nil
}

// isTable reports whether there are settings in a table of this name.
func isTable(all []Setting, name string) bool {
	return slices.ContainsFunc(all, func(s Setting) bool { return strings.HasPrefix(s.Key, name+".") })
}

// lookup returns what stands at a path of tables.
func lookup(doc map[string]any, path []string) any {
	var v any = doc
	for _, p := range path {
		table, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = table[p]
	}
	return v
}

// texts turns a TOML value into the text a flag would have.
func texts(v any, s Setting) ([]string, error) {
	if s.List {
		items, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("%w: want a list like [\"a\", \"b\"]", ErrValue)
		}
		var out []string
		for i, item := range items {
			one, err := texts(item, Setting{})
			if err != nil {
				return nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			out = append(out, one...)
		}
		return out, nil
	}
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}, nil
	case bool:
		if s.Bool {
			return []string{strconv.FormatBool(v)}, nil
		}
	}
	return nil, fmt.Errorf("%w: want text in quotes or a number", ErrValue)
}

// lineOf returns the number of the line on which a key is set, 1 if it is written in a way this
// does not know.
func lineOf(text []byte, key []string) int {
	want := strings.Join(key, ".")
	table := ""
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		line = strings.Trim(line, " \t\r")
		name, _, set := strings.Cut(line, "=")
		if header := strings.Trim(line, "[]"); strings.HasPrefix(line, "[") {
			table, name, set = bare(header)+".", "", true
			if bare(header) == want {
				return n
			}
		}
		if set && strings.HasPrefix(table+bare(name)+".", want+".") {
			return n
		}
	}
	return 1
}

// bare takes the quotes and spaces out of a key as it is written.
func bare(key string) string {
	return strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(key)
}

func (c *Config) applyEnv(env map[string]string, all []Setting, others bool) error {
	known := []string{"config"}
	for _, s := range all {
		known = append(known, strings.ToLower(strings.TrimPrefix(s.Env, prefix)))
		name := s.Env
		for _, other := range s.Also {
			if others && env[name] == "" {
				name = other
			}
		}
		text := env[name]
		if text == "" {
			continue // set to nothing is how a unit file takes a variable back
		}
		values := []string{text}
		if s.List {
			values = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
		}
		if err := s.set(c, values); err != nil {
			return fmt.Errorf("environment %s: %w", name, err)
		}
		c.origin[s.Key] = "environment " + name
	}
	// Others may use names with our prefix (a container's links, a test's data), so a strange one is
	// an error only where it looks like a mistyped setting.
	var strange []string
	for name := range env {
		if rest, ok := strings.CutPrefix(name, prefix); ok && !slices.Contains(known, strings.ToLower(rest)) {
			strange = append(strange, rest)
		}
	}
	slices.Sort(strange)
	for _, rest := range strange {
		if w := nearest(rest, known); w != "" {
			return fmt.Errorf("environment %s%s: %w; did you mean %q?", prefix, rest, ErrUnknown, prefix+strings.ToUpper(w))
		}
	}
	return nil
}

func (c *Config) applyFlags(flags map[string][]string, all []Setting) error {
	var known, given []string
	for _, s := range all {
		known = append(known, s.Flag)
	}
	for name := range flags {
		given = append(given, name)
	}
	slices.Sort(given)
	for _, name := range given {
		i := slices.Index(known, name)
		if i < 0 {
			return fmt.Errorf("flag --%s: %w%s", name, ErrUnknown, meant(name, known))
		}
		s, values := all[i], flags[name]
		if len(values) == 0 || !s.List && len(values) > 1 {
			return fmt.Errorf("flag --%s: %w: given %d times", name, ErrValue, len(values))
		}
		if err := s.set(c, values); err != nil {
			return fmt.Errorf("flag --%s: %w", name, err)
		}
		c.origin[s.Key] = "flag --" + name
	}
	return nil
}

// environment turns NAME=VALUE into a table; the last of a name counts, as it does for a shell.
func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	return env
}

const configEnv = prefix + "CONFIG"

// settingsFile returns the file to read, and whether its absence is an error.
func settingsFile(given string, env map[string]string) (path string, must bool) {
	if given != "" {
		return given, true
	}
	if p := env[configEnv]; p != "" {
		return p, true
	}
	var places []string
	if p := env["XDG_CONFIG_HOME"]; filepath.IsAbs(p) {
		places = append(places, p)
	} else if p := env["HOME"]; filepath.IsAbs(p) {
		places = append(places, filepath.Join(p, ".config"))
	}
	for _, p := range append(places, "/etc") {
		p = filepath.Join(p, "taolight", "taolight.toml")
		if _, err := os.Stat(p); err == nil {
			return p, false
		}
	}
	return "", false
}

// dataDir returns the default folder for data: the one that systemd made for the service, else the
// user's.
func dataDir(env map[string]string) (string, error) {
	// systemd lists several, separated by colons, if a unit asks for several.
	if p, _, _ := strings.Cut(env["STATE_DIRECTORY"], ":"); filepath.IsAbs(p) {
		return p, nil
	}
	if p := env["XDG_DATA_HOME"]; filepath.IsAbs(p) {
		return filepath.Join(p, "taolight"), nil
	}
	if p := env["HOME"]; filepath.IsAbs(p) {
		return filepath.Join(p, ".local", "share", "taolight"), nil
	}
	// A service of root has no home. INVOCATION_ID is how systemd marks what it starts.
	if env["INVOCATION_ID"] != "" {
		return "/var/lib/taolight", nil
	}
	return "", ErrNoHome
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return text, nil
}
