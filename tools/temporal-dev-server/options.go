// The command line: what `temporal server start-dev` understands and Millrace or @temporalio/testing use.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
)

const helpText = `temporal-dev-server: a Temporal server for one machine, with its web UI

Usage:
  temporal-dev-server [server start-dev] [flags]

Flags:
  --port N                       port of the server (7233); 0 picks a free one
  --ui-port N                    port of the web UI (--port + 1000); 0 picks a free one
  --ip ADDRESS                   address to listen on (127.0.0.1); there is no login, so keep it on loopback
  --ui-ip ADDRESS                address of the web UI (--ip)
  --headless                     no web UI
  --db-filename FILE             SQLite file that keeps everything (default: in memory, lost at the end)
  --namespace NAME               a namespace beside "default"; repeatable
  --search-attribute NAME=TYPE   a search attribute of every namespace named here, also on an existing file; repeatable
  --dynamic-config-value KEY=JSON  a setting of the server; repeatable
  --log-level LEVEL              debug, info, warn, error or never (error)
  --log-format FORMAT            text, pretty or json (text)
  --version, --help

Namespaces made here keep closed workflows for 30 days. Once everything answers, one line is printed:
  READY {"address":"127.0.0.1:7233","ui":"http://127.0.0.1:8233","pid":4711}
`

const (
	defaultNamespace = "default"
	defaultPort      = 7233
	uiPortOffset     = 1000
	maxPort          = 65535
	unset            = -1
)

var (
	errHelp    = errors.New("help asked for")
	errVersion = errors.New("version asked for")
)

// options is a checked command line. Ports of 0 mean "any free one".
type options struct {
	ip, uiIP         string
	port, uiPort     int
	headless         bool
	databaseFile     string // empty: in memory
	namespaces       []string
	searchAttributes map[string]enumspb.IndexedValueType
	dynamicConfig    map[string]any
	logLevel         string
	logFormat        string
}

// repeated collects the values of a flag that may be given more than once.
type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, ",") }
func (r *repeated) Set(v string) error { *r = append(*r, v); return nil }

// parseOptions reads the command line. Errors are for a person: one line, with the way out.
func parseOptions(args []string) (options, error) {
	var opts options
	var namespaces, searchAttributes, dynamicConfig repeated
	var version bool

	flags := flag.NewFlagSet("temporal-dev-server", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the package's own output is a whole page for one typo
	flags.IntVar(&opts.port, "port", defaultPort, "")
	flags.IntVar(&opts.uiPort, "ui-port", unset, "")
	flags.StringVar(&opts.ip, "ip", "127.0.0.1", "")
	flags.StringVar(&opts.uiIP, "ui-ip", "", "")
	flags.BoolVar(&opts.headless, "headless", false, "")
	flags.StringVar(&opts.databaseFile, "db-filename", "", "")
	flags.Var(&namespaces, "namespace", "")
	flags.Var(&searchAttributes, "search-attribute", "")
	flags.Var(&dynamicConfig, "dynamic-config-value", "")
	flags.StringVar(&opts.logLevel, "log-level", "error", "")
	flags.StringVar(&opts.logFormat, "log-format", "text", "")
	flags.BoolVar(&version, "version", false, "")

	if len(args) >= 2 && args[0] == "server" && args[1] == "start-dev" {
		args = args[2:]
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return opts, errHelp
	} else if err != nil {
		return opts, fmt.Errorf("%w; all flags: temporal-dev-server --help", withTwoDashes(err))
	}
	if version {
		return opts, errVersion
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unknown command %q, only `server start-dev` is there; all flags: temporal-dev-server --help", flags.Arg(0))
	}

	opts.namespaces = []string{defaultNamespace}
	for _, name := range namespaces {
		if !slices.Contains(opts.namespaces, name) {
			opts.namespaces = append(opts.namespaces, name)
		}
	}
	var err error
	if opts.ip, err = parseIP("--ip", opts.ip); err != nil {
		return opts, err
	}
	if opts.uiIP == "" {
		opts.uiIP = opts.ip
	} else if opts.uiIP, err = parseIP("--ui-ip", opts.uiIP); err != nil {
		return opts, err
	}
	if opts.uiPort == unset && opts.port == 0 {
		opts.uiPort = 0
	} else if opts.uiPort == unset {
		opts.uiPort = min(opts.port+uiPortOffset, maxPort)
	}
	if opts.port < 0 || opts.port > maxPort || opts.uiPort < 0 || opts.uiPort > maxPort {
		return opts, fmt.Errorf("a port is a number from 0 to %d, not --port %d --ui-port %d", maxPort, opts.port, opts.uiPort)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error", "never"}, opts.logLevel) {
		return opts, fmt.Errorf("--log-level is debug, info, warn, error or never, not %q", opts.logLevel)
	}
	if !slices.Contains([]string{"text", "pretty", "json"}, opts.logFormat) {
		return opts, fmt.Errorf("--log-format is text, pretty or json, not %q", opts.logFormat)
	}
	if opts.searchAttributes, err = parseSearchAttributes(searchAttributes); err != nil {
		return opts, err
	}
	opts.dynamicConfig, err = parseDynamicConfig(dynamicConfig)
	return opts, err
}

// withTwoDashes shows flags the way they are documented; the flag package names them with one dash.
func withTwoDashes(err error) error {
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		return fmt.Errorf("unknown flag --%s", name)
	}
	return errors.New(strings.Replace(err.Error(), "flag -", "flag --", 1))
}

// parseIP wants an address because the server binds to addresses; "localhost" is the one name people type.
func parseIP(flagName, value string) (string, error) {
	if value == "localhost" {
		return "127.0.0.1", nil
	}
	if net.ParseIP(value) == nil {
		return "", fmt.Errorf("%s is an IP address or localhost, not %q", flagName, value)
	}
	return value, nil
}

func parseSearchAttributes(pairs []string) (map[string]enumspb.IndexedValueType, error) {
	attributes := map[string]enumspb.IndexedValueType{}
	for _, pair := range pairs {
		name, typeName, _ := strings.Cut(pair, "=")
		valueType := enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED
		for known, number := range enumspb.IndexedValueType_shorthandValue {
			if strings.EqualFold(known, typeName) {
				valueType = enumspb.IndexedValueType(number)
			}
		}
		if name == "" || valueType == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
			return nil, fmt.Errorf("--search-attribute is NAME=TYPE with a type of Keyword, KeywordList, Text, Int, Double, Bool or Datetime, not %q", pair)
		}
		attributes[name] = valueType
	}
	return attributes, nil
}

func parseDynamicConfig(pairs []string) (map[string]any, error) {
	values := map[string]any{}
	for _, pair := range pairs {
		key, text, _ := strings.Cut(pair, "=")
		var value any
		if err := json.Unmarshal([]byte(text), &value); key == "" || err != nil {
			return nil, fmt.Errorf("--dynamic-config-value is KEY=JSON (a string needs its quotes), not %q", pair)
		}
		// Settings that count want an int and refuse the float64 that JSON numbers become.
		if number, ok := value.(float64); ok && number == float64(int(number)) {
			value = int(number)
		}
		values[key] = value
	}
	return values, nil
}
