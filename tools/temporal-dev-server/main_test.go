// Promises of the server: its flags, its READY line, and that a database file outlives the process.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// The next server takes the file when the one before has let it go.
func TestMain(m *testing.M) {
	stopDeadline = time.Minute
	os.Exit(m.Run())
}

func TestFlagsThatTheTypeScriptSDKPassesAreUnderstood(t *testing.T) {
	opts, err := parseOptions(strings.Fields(`server start-dev --port 4711 --namespace default --ip localhost
		--log-format pretty --log-level warn --dynamic-config-value frontend.enableServerVersionCheck=false
		--dynamic-config-value history.persistenceMaxQPS=10 --search-attribute=Pipeline=keyword --headless`))
	if err != nil {
		t.Fatal(err)
	}
	if opts.port != 4711 || opts.uiPort != 5711 || opts.ip != "127.0.0.1" || !opts.headless || !slices.Equal(opts.namespaces, []string{"default"}) {
		t.Errorf("got %+v", opts)
	}
	if opts.dynamicConfig["frontend.enableServerVersionCheck"] != false || opts.dynamicConfig["history.persistenceMaxQPS"] != 10 {
		t.Errorf("dynamic configuration: got %v", opts.dynamicConfig)
	}
	if opts.searchAttributes["Pipeline"] != enumspb.INDEXED_VALUE_TYPE_KEYWORD {
		t.Errorf("search attributes: got %v", opts.searchAttributes)
	}
}

func TestAWrongCommandLineIsOneLineThatNamesTheFault(t *testing.T) {
	for args, want := range map[string]string{
		"--prot 1":                   "unknown flag --prot",
		"--port x":                   `"x" for flag --port`,
		"--port 70000":               "70000",
		"server stop":                `unknown command "server"`,
		"--ip example.org":           `not "example.org"`,
		"--log-level loud":           `not "loud"`,
		"--search-attribute A=Thing": `not "A=Thing"`,
		"--dynamic-config-value a=b": `not "a=b"`,
	} {
		_, err := parseOptions(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestATakenPortIsRefusedWithTheWayOut(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port

	var stderr strings.Builder
	if code := run([]string{"--port", strconv.Itoa(port)}, io.Discard, &stderr, nil); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(stderr.String(), "is taken") || !strings.Contains(stderr.String(), "--port 0") {
		t.Errorf("got %q", stderr.String())
	}
}

func TestADatabaseFileOutlivesTheServerAndTakesNewSearchAttributes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new folder", "a#b.db")
	first := serve(t, "--db-filename", file, "--search-attribute", "Pipeline=Keyword")
	startWorkflow(t, first.Address)
	if page, err := http.Get(*first.UI); err != nil || page.StatusCode != http.StatusOK {
		t.Errorf("web UI: %v %v", page, err)
	}
	first.stop(t)

	second := serve(t, "--db-filename", file, "--search-attribute", "Pipeline=Keyword", "--search-attribute", "Rows=Int", "--headless")
	defer second.stop(t)
	if second.UI != nil {
		t.Errorf("a headless server announced the UI %s", *second.UI)
	}
	ctx, connection := context.Background(), dial(t, second.Address)
	client := workflowservice.NewWorkflowServiceClient(connection)
	list, err := client.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: "default"})
	if err != nil || list.GetCount() != 1 {
		t.Errorf("workflows after the restart: %v %v", list, err)
	}
	namespace, err := client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	if err != nil || namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() != retention {
		t.Errorf("retention: %v %v", namespace.GetConfig(), err)
	}
	attributes, err := operatorservice.NewOperatorServiceClient(connection).ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: "default"})
	if err != nil || len(attributes.GetCustomAttributes()) != 2 {
		t.Errorf("search attributes: %v %v", attributes.GetCustomAttributes(), err)
	}
}

func TestASearchAttributeKeepsItsType(t *testing.T) {
	cfg, err := openDatabase(options{namespaces: []string{"default"}, searchAttributes: map[string]enumspb.IndexedValueType{"Rows": enumspb.INDEXED_VALUE_TYPE_INT}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = prepareNamespaces(cfg, options{namespaces: []string{"default"}, searchAttributes: map[string]enumspb.IndexedValueType{"Rows": enumspb.INDEXED_VALUE_TYPE_TEXT}})
	if err == nil || !strings.Contains(err.Error(), "Rows is there already as Int") {
		t.Errorf("got %v", err)
	}
}

func TestADatabaseOfAnotherVersionIsRefusedAndOneOfAKilledFirstStartIsNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "temporal.db")
	if err := os.WriteFile(file, nil, 0o644); err != nil { // what a first start leaves that is killed before its commit
		t.Fatal(err)
	}
	if err := ensureSchema(file); err != nil {
		t.Fatalf("an empty file: %v", err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ALTER TABLE shards DROP COLUMN data_encoding"); err != nil {
		t.Fatal(err)
	}
	if err := ensureSchema(file); err == nil || !strings.Contains(err.Error(), "shards.data_encoding") {
		t.Errorf("got %v", err)
	}
}

// served is a server inside this test process.
type served struct {
	Address string
	UI      *string
	signals chan os.Signal
	code    chan int
	stderr  *strings.Builder
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{signals: make(chan os.Signal, 1), code: make(chan int, 1), stderr: &strings.Builder{}}
	stdout, stdoutWriter := io.Pipe()
	go func() {
		s.code <- run(append([]string{"server", "start-dev", "--port", "0"}, args...), stdoutWriter, s.stderr, s.signals)
		stdoutWriter.Close()
	}()
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	object, found := strings.CutPrefix(line, "READY ")
	if !found {
		t.Fatalf("no READY line but %q, standard error: %s", line, s.stderr)
	}
	if err := json.Unmarshal([]byte(object), s); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return s
}

func (s *served) stop(t *testing.T) {
	t.Helper()
	s.signals <- syscall.SIGTERM
	if code := <-s.code; code != 0 || s.stderr.Len() > 0 {
		t.Errorf("exit code %d, standard error: %s", code, s.stderr)
	}
	lock.Close() // in real life the process ends here
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func startWorkflow(t *testing.T, address string) {
	t.Helper()
	client := workflowservice.NewWorkflowServiceClient(dial(t, address))
	if _, err := client.StartWorkflowExecution(context.Background(), &workflowservice.StartWorkflowExecutionRequest{
		Namespace:    "default",
		WorkflowId:   "w",
		RequestId:    "r",
		WorkflowType: &commonpb.WorkflowType{Name: "daily"},
		TaskQueue:    &taskqueuepb.TaskQueue{Name: "millrace"},
	}); err != nil {
		t.Fatal(err)
	}
}
