// Command temporal-dev-server is a Temporal server for one machine: all services, SQLite and the web UI in one process.
//
// It stands in for `temporal server start-dev` where the Temporal CLI can be neither installed nor downloaded: it builds
// from the Go module proxy alone and takes the same flags (options.go), so that @temporalio/testing can start it as an
// existing executable.
//
// The one line it prints on standard output, once everything answers, is the word READY and a JSON object:
//
//	READY {"address":"127.0.0.1:7233","ui":"http://127.0.0.1:8233","pid":4711}
//
// `ui` is null with --headless. Logs and errors go to standard error. Exit codes: 0 after SIGINT or SIGTERM, 1 when it
// could not start, 2 for a wrong command line.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// stopDeadline bounds a stop, which takes the services a second to no one's benefit: every commit is already on disk, so
// that the process may end before they are done. A variable for the tests, whose process goes on.
var stopDeadline = 200 * time.Millisecond

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, signals))
}

// run is the program: it serves until a signal arrives and returns the exit code.
func run(args []string, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	opts, err := parseOptions(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, helpText)
		return 0
	case errors.Is(err, errVersion):
		fmt.Fprintln(stdout, versionLine())
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "temporal-dev-server:", err)
		return 2
	}

	server, err := start(opts, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "temporal-dev-server:", err)
		return 1
	}
	announce(stdout, server)

	<-signals
	stopped := make(chan struct{})
	go func() {
		server.stop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-time.After(stopDeadline):
	}
	return 0
}

// announce prints the READY line; the format is a promise to whoever starts this program.
func announce(stdout io.Writer, server *devServer) {
	ready := struct {
		Address string  `json:"address"`
		UI      *string `json:"ui"`
		PID     int     `json:"pid"`
	}{Address: server.address, PID: os.Getpid()}
	if server.uiURL != "" {
		ready.UI = &server.uiURL
	}
	line, _ := json.Marshal(ready) // two strings and a number: cannot fail
	fmt.Fprintf(stdout, "READY %s\n", line)
}

// versionLine names what is inside, as read from the build itself.
func versionLine() string {
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			versions[dep.Path] = dep.Version
		}
	}
	return fmt.Sprintf("temporal-dev-server (Temporal Server %s, UI %s)",
		versions["go.temporal.io/server"], versions["github.com/temporalio/ui-server/v2"])
}
