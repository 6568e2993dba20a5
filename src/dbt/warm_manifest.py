"""Lets dbt use a manifest that was parsed before, if and only if everything that a parse reads is as it was then.

In a command's own process (a fork of host.py) dbt loads profile, project and packages as always; where it would parse, the
kept manifest takes the parse's place when the fingerprint is the same to the byte, and is parsed and sent home otherwise.
"""
import hashlib
import json
import os
import pprint
import uuid

#: Of a seed. dbt goes by the path of larger ones, too.
HASHED_UP_TO_BYTES = 1 << 20
#: Differs in each command; a project that reads it is parsed each time.
VOLATILE_PREFIX = "DBT_ENV_CUSTOM_ENV_"
FOLDER_SUFFIX = "_paths"


def require_dbt():
    """Imports dbt and returns its version; raises where it is not one whose parse can be taken over."""
    from dbt.cli.main import cli  # noqa: F401
    from dbt.parser.manifest import ManifestLoader
    from dbt.version import __version__

    # What lean.py and warm_code.py change is there, too.
    import dbt.task.retry  # noqa: F401
    from dbt.context.providers import args_to_dict  # noqa: F401
    import dbt_common.clients.agate_helper  # noqa: F401
    import dbt_common.clients.jinja  # noqa: F401
    import dbt_common.events.base_types  # noqa: F401

    if not __version__.startswith("1."):
        raise RuntimeError(f"dbt {__version__} is not of version 1")
    if not callable(getattr(ManifestLoader, "get_full_manifest", None)):
        raise RuntimeError(f"dbt {__version__} parses otherwise")
    return __version__


def install(kept, texts, send):
    """In a command's process. `kept` maps keys to (fingerprint, manifest), `texts` to what text_chores made of it;
    `send` is called with (key, fingerprint, manifest) of a new one.
    """
    from dbt.parser.manifest import ManifestLoader

    parse = ManifestLoader.get_full_manifest.__func__

    def get_full_manifest(cls, config, **options):
        if not is_plain(config):
            return parse(cls, config, **options)
        key = (config.project_root, config.profile_name, config.target_name, pprint.pformat(config.cli_vars))
        before = fingerprint(config)
        found = kept.get(key)
        if found is not None and found[0] == before:
            write_manifest_once()
            write_from(texts[key], found[1])
            return take(found[1], config)
        manifest = parse(cls, config, **options)
        if is_lasting(manifest, config) and fingerprint(config) == before:
            send((key, before, manifest))
        return manifest

    ManifestLoader.get_full_manifest = classmethod(get_full_manifest)


def is_plain(config):
    """Whether a parse now would do no more than an unchanged one: no warnings to fail of, no nodes from elsewhere."""
    from dbt.flags import get_flags
    from dbt.plugins import get_plugin_manager

    flags = get_flags()
    options = getattr(flags, "WARN_ERROR_OPTIONS", None)
    strict = getattr(flags, "WARN_ERROR", False) or getattr(options, "error", None)
    other = getattr(flags, "USE_V2_PARSER", False) or not getattr(flags, "PARTIAL_PARSE", True)
    return not strict and not other and not get_plugin_manager(config.project_name).hooks.get("get_nodes")


def is_lasting(manifest, config):
    names = {*manifest.env_vars, *config.project_env_vars, *config.profile_env_vars}
    return not any(name.startswith(VOLATILE_PREFIX) for name in names)


def take(manifest, config):
    """What dbt does with a saved manifest of which no file has changed (dbt-core 1.12, parser/manifest.py)."""
    from datetime import datetime, timezone

    from dbt.adapters.factory import get_adapter
    from dbt.context.query_header import generate_query_header_context
    from dbt_common.invocation import get_invocation_id

    config.load_dependencies()
    manifest.metadata.generated_at = datetime.now(timezone.utc).replace(tzinfo=None)
    manifest.metadata.invocation_id = get_invocation_id()
    adapter = get_adapter(config)
    adapter.set_macro_resolver(manifest)
    adapter.connections.set_query_header(generate_query_header_context(adapter.config, manifest))
    return manifest


#: They write manifest.json again when their nodes are done, with what was compiled (GraphRunnableTask.run of dbt-core 1.12).
WRITES_AT_ITS_END = frozenset(("build", "compile", "run", "seed", "snapshot", "test"))


def write_manifest_once():
    """Not before the first node as well: it is the manifest that an earlier command wrote."""
    import dbt.parser.manifest as manifest_module
    from dbt.flags import get_flags

    if get_flags().WHICH in WRITES_AT_ITS_END:
        manifest_module.write_manifest = lambda *_: None


#: How dbt writes its artifacts (Writable.write of dbt-core 1.12).
AS_ARTIFACT = {"omit_none": False, "context": {"artifact": True}}
#: Parts of manifest.json that are most of it.
LARGE_PARTS = ("nodes", "sources", "macros", "docs", "exposures", "unit_tests")


def text_chores(manifest, texts):
    """In the host: small pieces of work, one at a time, that put into `texts`, by part and id, what manifest.json says of each
    resource before a command works with it. Nothing for a dbt that writes them otherwise.
    """
    import dbt.contracts.graph.manifest as manifest_module

    if not hasattr(manifest_module, "ResourceMapping"):
        return
    for part in LARGE_PARTS:
        made = texts[part] = {}
        for id, resource in getattr(manifest, part).items():
            yield lambda: made.update({id: entry(id, resource)})


def entry(id, resource):
    return f"{json.dumps(id)}: {to_json(resource.to_resource().to_dict(**AS_ARTIFACT))}"


def write_from(texts, manifest):
    """Where that manifest is written, a resource that the command did not compile is not put into words again."""
    import dbt_common.clients.system as system
    from dbt.contracts.graph.manifest import WritableManifest

    write_whole = WritableManifest.write

    def write(self, path):
        resources = {part: getattr(manifest, part) for part in LARGE_PARTS}
        if not texts or any(getattr(self, part).node_mapping is not found for part, found in resources.items()):
            write_whole(self, path)
            return
        places = {part: uuid.uuid4().hex for part in LARGE_PARTS}
        for part in LARGE_PARTS:
            setattr(self, part, {})
        written = to_json({**self.to_dict(**AS_ARTIFACT), **places})
        for part, found in resources.items():
            made = texts.get(part, {})
            entries = (
                made[id] if id in made and is_as_parsed(resource) else entry(id, resource) for id, resource in found.items()
            )
            written = written.replace(f'"{places[part]}"', "{" + ", ".join(entries) + "}", 1)
        system.make_directory(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(written)

    WritableManifest.write = write


def is_as_parsed(resource):
    return not getattr(resource, "compiled", False) and getattr(resource, "build_path", None) is None


def to_json(value):
    from dbt_common.utils.encoding import JSONEncoder

    return json.dumps(value, cls=JSONEncoder)


def fingerprint(config):
    """Of profile, vars, environment, and the content of all files of the project and its packages."""
    from dbt.version import __version__

    digest = hashlib.sha256()

    def add(*parts):
        digest.update(repr(parts).encode("utf-8", "surrogateescape"))

    add(__version__, config.profile_name, config.target_name, pprint.pformat(config.cli_vars))
    add(pprint.pformat(getattr(config, "vars_from_file", None)))
    add(pprint.pformat(sorted(config.credentials.connection_info(with_aliases=True))))
    # All of it: nobody knows beforehand which variables a macro asks for.
    add(sorted((name, value) for name, value in os.environ.items() if not name.startswith(VOLATILE_PREFIX)))
    for name, project in sorted(config.load_dependencies().items()):
        add(name, project.project_root)
        for file in sorted(files_of(project)):
            add(file)
            digest.update(content_of(file))
    return digest.digest()


def content_of(file):
    try:
        size = os.stat(file).st_size
        if size > HASHED_UP_TO_BYTES:
            return f"{size} {os.stat(file).st_mtime_ns}".encode()
        with open(file, "rb") as content:
            return hashlib.sha256(content.read()).digest()
    except OSError as error:
        return str(error.errno).encode()


def files_of(project):
    """Settings at the top, and everything in folders that the project names: models, seeds, macros, tests, docs, …"""
    root = project.project_root
    own = (project.target_path, project.log_path, project.packages_install_path)
    left_out = {os.path.realpath(os.path.join(root, folder)) for folder in own}
    found = set()
    for entry in os.scandir(root):
        if entry.name.endswith((".yml", ".yaml", ".env")) and entry.is_file():
            found.add(entry.path)
    for name, folders in vars(project).items():
        if name.endswith(FOLDER_SUFFIX) and isinstance(folders, list):
            for folder in folders:
                found.update(files_below(os.path.join(root, folder), left_out, set()))
    return found


def files_below(folder, left_out, seen):
    real = os.path.realpath(folder)
    if real in seen or real in left_out or os.path.basename(real) == ".git":
        return
    seen.add(real)
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from files_below(entry.path, left_out, seen)
        elif entry.is_file():
            yield entry.path
