// Namespaces and their search attributes, written into the database before the server runs.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence"
	"go.temporal.io/server/common/persistence/serialization"
	temporalsql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"
)

// retention of namespaces made here. The server's own default of 24 hours drops last night's run from the UI by tonight.
const retention = 30 * 24 * time.Hour

// prepareNamespaces writes namespaces and search attributes before the server runs: they are there with its first answer.
func prepareNamespaces(cfg *config.SQL, opts options) (*config.SQL, error) {
	for _, name := range opts.namespaces {
		namespace, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, nil)
		if err != nil {
			return nil, err
		}
		namespace.Detail.Config.Retention = durationpb.New(retention)
		if err := sqliteschema.CreateNamespaces(cfg, namespace); err != nil {
			return nil, fmt.Errorf("cannot create namespace %q: %w", name, err)
		}
	}
	if len(opts.searchAttributes) == 0 {
		return cfg, nil
	}
	db, err := temporalsql.NewSQLDB(sqlplugin.DbKindMain, cfg, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for _, name := range opts.namespaces {
		if err := addSearchAttributes(db, name, opts.searchAttributes); err != nil {
			return nil, fmt.Errorf("cannot register the search attributes of namespace %q: %w", name, err)
		}
	}
	return cfg, nil
}

// addSearchAttributes adds those that the namespace does not have yet; one with the same name and another type is an error.
func addSearchAttributes(db sqlplugin.DB, namespace string, wanted map[string]enumspb.IndexedValueType) error {
	ctx := context.Background()
	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &namespace})
	if err != nil {
		return err
	}
	row := rows[0] // created above; a missing row is an error of the query
	serializer := serialization.NewSerializer()
	detail, err := serializer.NamespaceDetailFromBlob(persistence.NewDataBlob(row.Data, row.DataEncoding))
	if err != nil {
		return err
	}
	if err := assignColumns(detail, wanted); err != nil {
		return err
	}
	blob, err := serializer.NamespaceDetailToBlob(detail)
	if err != nil {
		return err
	}
	row.Data, row.DataEncoding = blob.GetData(), blob.GetEncodingType().String()
	_, err = db.UpdateNamespace(ctx, &row)
	return err
}

// assignColumns gives each new attribute a free column of its type. SQLite visibility has a fixed set of columns
// (Keyword01 … Keyword10, three of most others); a namespace stores which attribute's name each of them carries.
func assignColumns(detail *persistencespb.NamespaceDetail, wanted map[string]enumspb.IndexedValueType) error {
	columnTypes := sadefs.GetDBIndexSearchAttributes(nil).CustomSearchAttributes
	names := detail.Config.CustomSearchAttributeAliases // column → attribute
	if names == nil {
		names = map[string]string{}
		detail.Config.CustomSearchAttributeAliases = names
	}
	columnOf := map[string]string{}
	for column, name := range names {
		columnOf[name] = column
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if sadefs.IsReserved(name) {
			return fmt.Errorf("the name %s is Temporal's own; choose another one", name)
		}
		if column, ok := columnOf[name]; ok {
			if columnTypes[column] != wanted[name] {
				return fmt.Errorf("%s is there already as %s, not as %s", name, columnTypes[column], wanted[name])
			}
			continue
		}
		free := ""
		for _, column := range slices.Sorted(maps.Keys(columnTypes)) {
			if columnTypes[column] == wanted[name] && names[column] == "" {
				free = column
				break
			}
		}
		if free == "" {
			return fmt.Errorf("no column is left for %s: all of type %s are taken", name, wanted[name])
		}
		names[free] = name
	}
	return nil
}
