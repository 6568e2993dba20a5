// What the Temporal server is told: a cluster of one on loopback, and the settings that differ from a real cluster's.
package main

import (
	"io"
	"maps"

	"github.com/google/uuid"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/primitives"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	clusterName = "active" // what `temporal server start-dev` calls it: either can take over the other's file
	storeName   = "sqlite"
	loopback    = "127.0.0.1"
)

// dynamicConfig is the server's defaults, changed where one machine with one user differs from a cluster. Eager
// activities, updates and worker versioning are on by default in this version.
func dynamicConfig(chosen map[string]any) dynamicconfig.Client {
	values := map[string]any{
		// A search attribute or Nexus endpoint is usable as soon as it is registered, at the price of more reads.
		"system.forceSearchAttributesCacheRefreshOnRead": true,
		"system.forceNexusEndpointRefreshOnRead":         true,
		"frontend.persistenceMaxQPS":                     10000,
		"history.persistenceMaxQPS":                      45000,
		// `millrace history` and tests list workflows more often than a person at a UI.
		"frontend.namespaceRPS.visibility": 100,
		// Partitions spread a task queue over hosts. On one host they only add a hop to every task.
		"matching.numTaskqueueReadPartitions":  1,
		"matching.numTaskqueueWritePartitions": 1,
		// A queue that wakes for every task at most 20 times a second makes a chain of activities wait 50 ms per link
		// (measured: start to result of an empty workflow 50 ms, with these 15 ms).
		"history.transferProcessorMaxPollRPS":   1000,
		"history.timerProcessorMaxPollRPS":      1000,
		"history.visibilityProcessorMaxPollRPS": 1000,
		"history.hostLevelCacheMaxSize":         8096,
		"frontend.enableServerVersionCheck":     false, // nothing here calls home
	}
	maps.Copy(values, chosen)
	client := dynamicconfig.StaticClient{}
	for key, value := range values {
		client[dynamicconfig.MakeKey(key)] = value
	}
	return client
}

// serverConfig describes a cluster of one: one history shard, SQLite, inner services on loopback only.
func serverConfig(opts options, store *config.SQL) (*config.Config, error) {
	inner, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	frontend := config.Service{RPC: config.RPC{GRPCPort: opts.port, HTTPPort: inner[3], BindOnIP: opts.ip}}
	frontendAddress := hostPort(reachable(opts.ip), opts.port)

	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     storeName,
			VisibilityStore:  storeName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled:                true,
				InitialFailoverVersion: 1,
				RPCAddress:             frontendAddress,
				HTTPAddress:            hostPort(reachable(opts.ip), inner[3]),
				ClusterID:              uuid.NewString(), // an existing file keeps its own
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			string(primitives.FrontendService): frontend,
			string(primitives.HistoryService):  {RPC: config.RPC{GRPCPort: inner[0], BindOnIP: loopback}},
			string(primitives.MatchingService): {RPC: config.RPC{GRPCPort: inner[1], BindOnIP: loopback}},
			string(primitives.WorkerService):   {RPC: config.RPC{GRPCPort: inner[2], BindOnIP: loopback}},
		},
		PublicClient: config.PublicClient{HostPort: frontendAddress},
	}
	cfg.Global.Membership.MaxJoinDuration = readyTimeout
	cfg.Global.Membership.BroadcastAddress = loopback
	cfg.Archival.History.State = "disabled"
	cfg.Archival.Visibility.State = "disabled"
	cfg.NamespaceDefaults.Archival.History.State = "disabled"
	cfg.NamespaceDefaults.Archival.Visibility.State = "disabled"
	return cfg, nil
}

// newLogger writes to standard error only; standard output belongs to the READY line.
func newLogger(opts options, stderr io.Writer) (log.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(zapcore.FatalLevel + 1)
	if opts.logLevel != "never" {
		_ = level.UnmarshalText([]byte(opts.logLevel)) // checked by parseOptions
	}
	encoder := zapcore.NewConsoleEncoder(log.DefaultZapEncoderConfig)
	if opts.logFormat == "json" {
		encoder = zapcore.NewJSONEncoder(log.DefaultZapEncoderConfig)
	}
	core := zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(stderr)), level)
	return log.NewZapLogger(zap.New(core)), level
}
