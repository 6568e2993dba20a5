// The server: Temporal's four services and the web UI, wired to loopback and started.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const readyTimeout = 30 * time.Second

// devServer is a running server.
type devServer struct {
	address  string // host:port for clients
	uiURL    string // empty with --headless
	temporal temporal.Server
	ui       *uiserver.Server // nil with --headless
	logLevel zap.AtomicLevel
}

// start returns when the server and the web UI answer.
func start(opts options, stderr io.Writer) (*devServer, error) {
	var err error
	if opts.port, err = claimPort(opts.ip, opts.port, "--port"); err != nil {
		return nil, err
	}
	if !opts.headless {
		if opts.uiPort, err = claimPort(opts.uiIP, opts.uiPort, "--ui-port"); err != nil {
			return nil, err
		}
	}
	store, err := openDatabase(opts)
	if err != nil {
		return nil, err
	}
	cfg, err := serverConfig(opts, store)
	if err != nil {
		return nil, err
	}

	logger, logLevel := newLogger(opts, stderr)
	s := &devServer{address: hostPort(reachable(opts.ip), opts.port), logLevel: logLevel}
	if s.temporal, err = newTemporal(cfg, opts, logger); err != nil {
		return nil, fmt.Errorf("cannot build the Temporal server: %w", err)
	}
	if err := s.temporal.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the Temporal server: %w", err)
	}
	if !opts.headless {
		s.ui = newUI(opts, s.address)
		s.uiURL = "http://" + hostPort(reachable(opts.uiIP), opts.uiPort)
		go func() { _ = s.ui.Start() }() // ends the process by itself when it cannot listen
	}
	if err := s.waitUntilReady(opts.namespaces); err != nil {
		return nil, err
	}
	return s, nil
}

// stop ends the services. Clients that are still connected see a closed connection and retry.
func (s *devServer) stop() {
	s.logLevel.SetLevel(zapcore.FatalLevel + 1) // services that lose each other complain at length
	if s.ui != nil {
		s.ui.Stop()
	}
	_ = s.temporal.Stop()
}

// waitUntilReady asks what a client and a browser would ask first.
func (s *devServer) waitUntilReady(namespaces []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	connection, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	client := workflowservice.NewWorkflowServiceClient(connection)
	for _, namespace := range namespaces {
		if err := retry(ctx, func() error {
			_, err := client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
			return err
		}); err != nil {
			return fmt.Errorf("the server did not answer on %s within %s: %w", s.address, readyTimeout, err)
		}
	}
	if s.ui == nil {
		return nil
	}
	if err := retry(ctx, func() error {
		response, err := http.Get(s.uiURL + "/healthz")
		if err == nil {
			response.Body.Close()
		}
		return err
	}); err != nil {
		return fmt.Errorf("the web UI did not answer on %s within %s: %w", s.uiURL, readyTimeout, err)
	}
	return nil
}

func retry(ctx context.Context, attempt func() error) error {
	for {
		err := attempt()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func newUI(opts options, serverAddress string) *uiserver.Server {
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                bracketed(opts.uiIP),
		Port:                opts.uiPort,
		TemporalGRPCAddress: serverAddress,
		EnableUI:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true}, // plain http on loopback
		HideLogs:            true,
		DisableNewsFetch:    true, // nothing here calls home
	}))
}

func newTemporal(cfg *config.Config, opts options, logger log.Logger) (temporal.Server, error) {
	authorizer, err := authorization.GetAuthorizerFromConfig(&cfg.Global.Authorization)
	if err != nil {
		return nil, err
	}
	claimMapper, err := authorization.GetClaimMapperFromConfig(&cfg.Global.Authorization, logger)
	if err != nil {
		return nil, err
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range cfg.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(hostPort(reachable(service.RPC.BindOnIP), service.RPC.GRPCPort))
	}
	return temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claimMapper }),
		temporal.WithDynamicConfigClient(dynamicConfig(opts.dynamicConfig)),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
	)
}

// reachable is the address to dial for one to listen on: "all addresses" cannot be dialled.
func reachable(ip string) string {
	if net.ParseIP(ip).IsUnspecified() {
		return loopback
	}
	return ip
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// bracketed is for the UI server, which joins host and port without looking at IPv6.
func bracketed(ip string) string {
	if net.ParseIP(ip).To4() == nil {
		return "[" + ip + "]"
	}
	return ip
}
