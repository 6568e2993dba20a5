"""Lets code that dbt makes when it first needs it be made in the host, where every command to come finds it.

dbt writes (de)serializers, JSON schemas and the code of templates at their first use, in each process anew: half of a
small command's time. A command's own process (a fork of host.py) tells what it had to make; the host makes it between
commands, or keeps it. Nothing of a project is run for that: classes are compiled, templates are parsed.
"""
import importlib
import inspect
import marshal
import sys


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
        self.classes = set()
        build_json_schema = dataclass_schema.build_json_schema
        add_pack_method = CodeBuilder.add_pack_method
        add_unpack_method = CodeBuilder.add_unpack_method

        def noted_schema(cls, *args, **options):
            self.note("schema", cls)
            return build_json_schema(cls, *args, **options)

        def noted_pack(builder):
            self.note("to_dict", builder.cls)
            return add_pack_method(builder)

        def noted_unpack(builder):
            self.note("from_dict", builder.cls)
            return add_unpack_method(builder)

        dataclass_schema.build_json_schema = noted_schema
        CodeBuilder.add_pack_method = noted_pack
        CodeBuilder.add_unpack_method = noted_unpack

    def note(self, kind, cls):
        if "<locals>" not in cls.__qualname__:
            self.classes.add((kind, cls.__module__, cls.__qualname__))

    def told(self):
        """None where there was nothing to make."""
        templates = set(self.templates) - self.known_templates
        codes = {key: code for key, code in self.codes.items() if key not in self.known_codes}
        if not (self.classes or templates or codes):
            return None
        return sorted(self.classes), sorted(templates), marshal.dumps(codes)


def learn(told, codes):
    """In the host: keeps the code of the templates that a command had to compile."""
    _, _, marshalled = told
    codes.update(marshal.loads(marshalled))


def chores(told, manifests):
    """In the host: small pieces of work, one at a time, that make all else that a command had to make."""
    classes, templates, _ = told
    for kind, module, name in classes:
        yield lambda: make_class_code(kind, module, name)
    macros = {macro.macro_sql: macro for manifest in manifests for macro in manifest.macros.values()}
    for text in templates:
        if text in macros:
            yield lambda: make_template(macros[text])


def make_class_code(kind, module, name):
    cls = sys.modules.get(module)
    for part in name.split("."):
        cls = getattr(cls, part, None)
    if cls is None:
        return
    try:
        if kind == "schema":
            cls.json_schema()
        elif kind == "from_dict":
            cls.from_dict({})
        else:
            object.__new__(cls).to_dict()
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
