"""Lets code that dbt makes when it first needs it be made in the host, where every command to come finds it.

dbt writes (de)serializers, JSON schemas and the code of templates at their first use, in each process anew: half of a
small command's time. A command's own process (a fork of host.py) tells what it had to make; the host makes it between
commands, or keeps it. Nothing of a project is run for that: classes are compiled, templates are parsed.
"""
import importlib
import inspect
import json
import marshal
import os
import pkgutil
import sys

#: Of a builder, which writes one method of one class.
USED_OF_MASHUMARO = (
    "add_pack_method", "add_unpack_method", "allow_postponed_evaluation", "cls", "decoder", "default_dialect", "dialect",
    "encoder", "format_name", "get_config", "get_pack_method_name", "get_unpack_method_name", "initial_type_args",
    "is_code_generation_option_enabled", "is_nailed", "_get_encoder_kwargs",
)


def write_methods_on_demand():
    """In the host, before dbt is imported: a class's (de)serializers are written when they are first called. dbt asks for
    just that, and mashumaro writes and compiles a text for each of 1,200 methods that says so: a third of the import.
    """
    from mashumaro import DataClassDictMixin
    from mashumaro.core.meta.code import builder as code

    builder_type = code.CodeBuilder
    sample = builder_type(type("Sample", (), {}))
    if not hasattr(code, "ADD_DIALECT_SUPPORT") or not all(hasattr(sample, name) for name in USED_OF_MASHUMARO):
        # mashumaro before 3.11, for one: it puts them off in its own way.
        return

    def is_put_off(builder):
        """As mashumaro decides it, where the method has neither dialects nor types to choose from."""
        has_dialects = builder.dialect is not None or builder.is_code_generation_option_enabled(code.ADD_DIALECT_SUPPORT)
        is_plain = builder.is_nailed and not has_dialects and not builder.initial_type_args
        return is_plain and builder.allow_postponed_evaluation and builder.get_config().lazy_compilation

    def put(cls, name, method):
        setattr(cls, name, method)
        if issubclass(cls, DataClassDictMixin):
            setattr(cls, name.public, method)

    write_unpack = builder_type.add_unpack_method
    write_pack = builder_type.add_pack_method

    def add_unpack_method(builder):
        if not is_put_off(builder):
            write_unpack(builder)
            return
        way = {"format_name": builder.format_name, "decoder": builder.decoder}
        name = builder.get_unpack_method_name(**way)
        way |= {"default_dialect": builder.default_dialect}

        def unpack(cls, *values, **flags):
            builder_type(cls, allow_postponed_evaluation=False, **way).add_unpack_method()
            return getattr(cls, name)(*values, **flags)

        put(builder.cls, name, classmethod(unpack))

    def add_pack_method(builder):
        if not is_put_off(builder):
            write_pack(builder)
            return
        way = {"format_name": builder.format_name, "encoder": builder.encoder}
        name = builder.get_pack_method_name(**way)
        way |= {"default_dialect": builder.default_dialect, "encoder_kwargs": builder._get_encoder_kwargs()}

        def pack(self, *values, **flags):
            builder_type(type(self), allow_postponed_evaluation=False, **way).add_pack_method()
            return getattr(self, name)(*values, **flags)

        put(builder.cls, name, pack)

    builder_type.add_unpack_method = add_unpack_method
    builder_type.add_pack_method = add_pack_method


def import_modules(modules):
    """In the host. Adapters that are not installed here are left out: a command that needs one says so."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            pass
    duckdb = sys.modules.get("duckdb")
    if duckdb is not None:
        # The database in memory that comes with the import: its thread ends with it. Whoever asks for it gets a new one.
        duckdb.default_connection().close()
    # Python's list of which module is in which file, of which an adapter asks when it is set up.
    inspect.getmodule(inspect.currentframe())
    look_for_plugins_once()
    # Its patterns, which each command compiles.
    sqlparse = sys.modules.get("sqlparse")
    if sqlparse is not None and hasattr(sqlparse.lexer.Lexer, "get_default_instance"):
        sqlparse.lexer.Lexer.get_default_instance()


def look_for_plugins_once():
    """In the host: dbt looks through all folders of modules, which are those that the host began with, in each command."""
    from dbt.plugins.manager import PluginManager

    prefix = PluginManager.PLUGIN_MODULE_PREFIX
    names = [name for _, name, _ in pkgutil.iter_modules() if name.startswith(prefix)]
    PluginManager.get_prefixed_modules = lambda: {name: importlib.import_module(name) for name in names}


def keep_code_of_templates(codes):
    """In the host: adds the code of each template that is compiled from now on, here or in a command's process, by its
    kind and its text; what is there is taken.
    """
    import dbt_common.clients.jinja as jinja

    compile_template = jinja.MacroFuzzEnvironment.compile

    def compile_once(self, source, name=None, filename=None, raw=False, defer_init=False):
        if name is not None or filename is not None or raw or defer_init or jinja.MACRO_DEBUGGING:
            return compile_template(self, source, name, filename, raw, defer_init)
        if not isinstance(source, str):
            return compile_template(self, source)
        key = (type(self).__name__, str(source))
        if key not in codes:
            codes[key] = compile_template(self, source)
        return codes[key]

    jinja.MacroFuzzEnvironment.compile = compile_once


class Made:
    """In a command's process: what it makes from now on. `codes` are those of templates."""

    def __init__(self, codes):
        import dbt_common.dataclass_schema as dataclass_schema
        from dbt_common.clients.jinja import template_cache
        from mashumaro.core.meta.code.builder import CodeBuilder

        self.templates = template_cache.file_cache
        self.known_templates = set(self.templates)
        self.codes = codes
        self.known_codes = set(codes)
        #: In the order in which they were needed.
        self.classes = {}
        build_json_schema = dataclass_schema.build_json_schema
        add_pack_method = CodeBuilder.add_pack_method
        add_unpack_method = CodeBuilder.add_unpack_method

        def noted_schema(cls, *args, **options):
            self.note("schema", cls)
            return build_json_schema(cls, *args, **options)

        def noted_pack(builder):
            name = builder.get_pack_method_name(format_name=builder.format_name, encoder=builder.encoder)
            self.note(name, builder.cls)
            return add_pack_method(builder)

        def noted_unpack(builder):
            name = builder.get_unpack_method_name(format_name=builder.format_name, decoder=builder.decoder)
            self.note(name, builder.cls)
            return add_unpack_method(builder)

        dataclass_schema.build_json_schema = noted_schema
        CodeBuilder.add_pack_method = noted_pack
        CodeBuilder.add_unpack_method = noted_unpack

    def note(self, kind, cls):
        if "<locals>" not in cls.__qualname__:
            self.classes[kind, cls.__module__, cls.__qualname__] = True

    def told(self):
        """None where there was nothing to make."""
        templates = set(self.templates) - self.known_templates
        codes = {key: code for key, code in self.codes.items() if key not in self.known_codes}
        if not (self.classes or templates or codes):
            return None
        return list(self.classes), sorted(templates), marshal.dumps(codes)


class KnownClasses:
    """In the host: names of the classes that commands had to make code for, in a file for the hosts to come. Only names: the
    code is made anew, of what is installed then.
    """

    def __init__(self, file):
        self.file = file
        self.names = []
        self.is_saved = True
        try:
            with open(file) as text:
                self.names = [tuple(each) for each in json.load(text) if is_code(*each)]
        except (OSError, ValueError, TypeError):
            # The first commands tell them.
            pass

    def add(self, classes):
        known = set(self.names)
        new = [each for each in classes if each not in known]
        self.names += new
        self.is_saved = self.is_saved and not new

    def save(self):
        if self.is_saved:
            return
        self.is_saved = True
        self.names = [(kind, module, name) for kind, module, name in self.names if find_class(module, name)]
        try:
            os.makedirs(os.path.dirname(self.file), exist_ok=True)
            written = f"{self.file}.{os.getpid()}"
            with open(written, "w") as text:
                json.dump(self.names, text)
            os.replace(written, self.file)
        except OSError:
            # An installation that cannot be written to: the next host is told by its commands.
            pass


def learn(marshalled, codes):
    """In the host: keeps the code of the templates that a command had to compile."""
    codes.update(marshal.loads(marshalled))


def class_chores(classes):
    """In the host: small pieces of work, one at a time, that make what a command had to make of classes."""
    for kind, module, name in list(classes):
        yield lambda: make_class_code(kind, module, name)


def template_chores(templates, manifests):
    """The same of templates."""
    macros = {macro.macro_sql: macro for manifest in manifests for macro in manifest.macros.values()}
    for text in templates:
        if text in macros:
            yield lambda: make_template(macros[text])


def is_code(kind, module, name):
    """Of what is made for a class: its JSON schema, or a method that mashumaro writes."""
    is_text = all(isinstance(each, str) for each in (kind, module, name))
    return is_text and (kind == "schema" or kind.startswith("__mashumaro_"))


def by_use(classes):
    """Those that only a parse needs, which validates what it finds in a project's files, and all others."""
    parsing = [each for each in classes if each[0] == "schema" and each[1].startswith(("dbt.contracts.graph.", "dbt.artifacts."))]
    return parsing, [each for each in classes if each not in parsing]


def find_class(module, name):
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if inspect.isclass(found) else None


def make_class_code(kind, module, name):
    cls = find_class(module, name)
    if cls is None:
        return
    try:
        if kind == "schema":
            cls.json_schema()
        elif "_from_" in kind:
            getattr(cls, kind)({})
        else:
            getattr(object.__new__(cls), kind)()
    except Exception:
        # The code is made before it finds that there is nothing to work on.
        pass


def make_template(macro):
    from dbt_common.clients.jinja import template_cache

    try:
        template_cache.get_node_template(macro)
    except Exception:
        # A command that uses it says so.
        pass


def forget_templates(manifests, codes):
    """In the host: drops templates and their code where no kept manifest has a macro or a node of that text."""
    from dbt_common.clients.jinja import template_cache

    macros = {macro.macro_sql for manifest in manifests for macro in manifest.macros.values()}
    nodes = {getattr(node, "raw_code", None) for manifest in manifests for node in manifest.nodes.values()}
    for text in set(template_cache.file_cache) - macros:
        del template_cache.file_cache[text]
    for key in [key for key in codes if key[1] not in macros and key[1] not in nodes]:
        del codes[key]
