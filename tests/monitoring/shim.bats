#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154 # stderr and stderr_lines are set by run
# The shim on a loader in miniature (tests/lib/fake_loader.py): what it counts, and that it never changes what it counts.
load ../lib/common
: "${LOADER_ENV_PYTHON:?the Python of the loader environment; scripts/test sets it}"

SHIM=$ROOT/scripts/shim

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -m 700 mp
    export PROMETHEUS_MULTIPROC_DIR=$PWD/mp PYTHONDONTWRITEBYTECODE=1
    # What every program below begins with.
    cat >common.py <<'PY'
import asyncio, contextlib, importlib, inspect, sys, threading
class Text:
    def __init__(self, content):
        self.id, self.content = id(self), content
    def chunk(self):
        if isinstance(self.content, BaseException):
            raise self.content
        return [Text(word) for word in self.content.split()]
def of(module, name):
    return getattr(importlib.import_module("qdrant_loader." + module), name)
PY
}

# loader [WITHOUT…]: the miniature, without these names.
loader() {
    python3 "$ROOT/tests/lib/fake_loader.py" "$BATS_TEST_TMPDIR" "$@"
}

# program [FOLDER…]: runs the Python program on standard input under the shim; FOLDERs come after it on the path. All
# modules of the miniature are imported first, as by the loader's own start; FEW=1: only those that the program asks for.
program() {
    {
        cat common.py
        [[ -n ${FEW-} ]] || find qdrant_loader -name '*.py' ! -name __init__.py -printf 'import qdrant_loader.%P\n' | sed 's/\.py$//; s#/#.#g'
        cat
    } >program.py
    local IFS=:
    PYTHONPATH=$SHIM${1+:$*}:$PWD exec "$LOADER_ENV_PYTHON" program.py
}

# value SERIES…: as the official collector reads them.
value() {
    "$LOADER_ENV_PYTHON" "$ROOT/tests/lib/multiprocess.py" "$@"
}

@test "a Python that does not import the loader writes no metrics, prints nothing and imports nothing for it" {
    loader
    FEW=1 run -0 --separate-stderr program <<'PY'
print([m for m in ("prometheus_client", "typing", "inspect", "qdrant_loader_shim.watches") if m in sys.modules and m != "inspect"])
PY
    equal "$output" "['typing']" # common.py's asyncio
    equal "$stderr" ''
    equal "$(ls mp)" ''
    PYTHONPATH=$SHIM run -0 --separate-stderr "$LOADER_ENV_PYTHON" -c 'import sys; print("typing" in sys.modules, "re" in sys.modules)'
    equal "$output$stderr" 'False False'
}

@test "the sitecustomize that was there is run, under its own name, and the loader is counted" {
    loader
    mkdir other
    printf 'import sys\nprint("the other one", __name__, file=sys.stderr)\nMARK = 7\n' >other/sitecustomize.py
    run -0 --separate-stderr program "$PWD/other" <<'PY'
import sitecustomize
print(sitecustomize.MARK, sitecustomize.__file__)
of("core.chunking.chunking_service", "ChunkingService")().chunk_document(Text("a b c"))
PY
    equal "$output" "7 $PWD/other/sitecustomize.py"
    equal "${stderr_lines[0]}" 'the other one sitecustomize'
    equal "$(value 'qdrant_loader_stage_items_total{stage="chunk"}')" 3
}

@test "a sitecustomize that fails is told by Python as it would be without the shim" {
    loader
    mkdir other
    echo 'raise ValueError("mine")' >other/sitecustomize.py
    PYTHONPATH=$PWD/other run -0 --separate-stderr "$LOADER_ENV_PYTHON" -c ''
    local alone=$stderr
    matches "$alone" 'ValueError: mine'
    run -0 --separate-stderr program "$PWD/other" <<'PY'
of("core.chunking.chunking_service", "ChunkingService")().chunk_document(Text("a b c"))
PY
    matches "$stderr" 'ValueError: mine'
    equal "$(head -n 2 <<<"$stderr")" "$(head -n 2 <<<"$alone")"
    equal "$(value 'qdrant_loader_stage_items_total{stage="chunk"}')" 3
}

@test "without the variable nothing is counted, and one line says so" {
    loader
    unset PROMETHEUS_MULTIPROC_DIR
    FEW=1 run -0 --separate-stderr program <<'PY'
service = of("core.chunking.chunking_service", "ChunkingService")
of("core.qdrant_manager", "QdrantManager")
print(len(service().chunk_document(Text("a b"))), hasattr(service.chunk_document, "__wrapped__"), "prometheus_client" in sys.modules)
PY
    equal "$output" '2 False False'
    equal "$stderr" 'qdrant-loader shim: off, nothing is counted: PROMETHEUS_MULTIPROC_DIR is not set'
}

@test "without prometheus_client in the loader's environment nothing is counted, and one line says so" {
    loader
    mkdir none
    echo 'raise ImportError("No module named prometheus_client", name=__name__)' >none/prometheus_client.py
    FEW=1 run -0 --separate-stderr program "$PWD/none" <<'PY'
of("core.qdrant_manager", "QdrantManager")
print(len(of("core.chunking.chunking_service", "ChunkingService")().chunk_document(Text("a b"))))
PY
    equal "$output" 2
    equal "$stderr" 'qdrant-loader shim: off, nothing is counted: ImportError: No module named prometheus_client'
}

@test "a metrics folder that is not there turns the shim off, with the reason" {
    loader
    rmdir mp
    FEW=1 run -0 --separate-stderr program <<'PY'
print(len(of("core.chunking.chunking_service", "ChunkingService")().chunk_document(Text("a b"))))
PY
    equal "$output" 2
    matches "$stderr" '^qdrant-loader shim: off, nothing is counted: FileNotFoundError: .*/mp/'
}

@test "methods that are not there are named on stderr and in the metrics, and the others are counted" {
    loader upsert_points _apply_rate_limit
    FEW=1 run -0 --separate-stderr program <<'PY'
import qdrant_loader.core.embedding.embedding_service, qdrant_loader.core.qdrant_manager
of("core.chunking.chunking_service", "ChunkingService")().chunk_document(Text("a b c"))
PY
    local q=qdrant_loader.core
    equal "$(grep -c '^qdrant-loader shim: not placed: ' <<<"$stderr")" 3
    equal "${stderr_lines[0]}" "qdrant-loader shim: not placed: EmbeddingService._apply_rate_limit of $q.embedding.embedding_service: not there; its figures are missing"
    matches "${stderr_lines[1]}" "not placed: QdrantManager.upsert_points of $q.qdrant_manager: not there"
    # When the first document is worked on, what was not imported by then is named in one line.
    matches "${stderr_lines[2]}" 'not placed: .*, StateManager.update_document_states_batch, .*: not imported when the pipeline began'
    run -0 value "qdrant_loader_shim_hook_missing{hook=\"$q.qdrant_manager.QdrantManager.upsert_points\"}" \
        "qdrant_loader_shim_hook_missing{hook=\"$q.state.state_manager.StateManager.update_document_states_batch\"}" \
        "qdrant_loader_shim_hook_missing{hook=\"$q.chunking.chunking_service.ChunkingService.chunk_document\"}" \
        'qdrant_loader_shim_hooks{state="placed"}' 'qdrant_loader_shim_hooks{state="missing"}' \
        'qdrant_loader_stage_items_total{stage="chunk"}'
    equal "${lines[*]}" '1 1 n/a 2 11 3'
}

@test "a wrapped method is the kind of callable it was, with its name, text, signature and source" {
    loader
    run -0 --separate-stderr program <<'PY'
stream = of("core.pipeline.source_processor", "SourceProcessor").stream_source_documents
process = of("core.pipeline.workers.upsert_worker", "UpsertWorker").process
chunk = of("core.chunking.chunking_service", "ChunkingService").chunk_document
assert all(hasattr(f, "__wrapped__") for f in (stream, process, chunk))
print([(inspect.isasyncgenfunction(f), inspect.iscoroutinefunction(f)) for f in (stream, process, chunk)])
print(inspect.signature(chunk), chunk.__qualname__, stream.__doc__)
print("def chunk_document" in inspect.getsource(sys.modules[chunk.__module__]), sys.modules[chunk.__module__].__loader__.get_source)
step = process(None, [])
print(inspect.isawaitable(step), asyncio.iscoroutine(step))
step.close()
items = stream(None, [])
print(inspect.isasyncgen(items))
PY
    equal "${lines[0]}" '[(True, False), (False, True), (False, False)]'
    equal "${lines[1]}" '(self, document) ChunkingService.chunk_document Gives documents; one that is an exception is logged and left out.'
    matches "${lines[2]}" '^True <bound method .*SourceFileLoader'
    equal "${lines[3]}" 'True True'
    equal "${lines[4]}" 'True'
}

@test "a method is called once, its exception is the caller's own, and counts as an error of its type" {
    loader
    run -0 --separate-stderr program <<'PY'
service = of("core.chunking.chunking_service", "ChunkingService")()
class Once(Text):
    calls = 0
    def chunk(self):
        Once.calls += 1
        return super().chunk()
mine = KeyError("mine")
for content in ("a b", mine, asyncio.CancelledError()):
    try:
        service.chunk_document(Once(content))
    except BaseException as error:
        print(error is content, type(error).__name__)
print(Once.calls)
PY
    equal "${lines[*]}" 'True KeyError True CancelledError 3'
    run -0 value 'qdrant_loader_stage_'{calls_total,successes_total,in_flight,duration_seconds_count}'{stage="chunk"}' \
        'qdrant_loader_stage_errors_total{stage="chunk",type="KeyError"}' 'qdrant_loader_stage_errors_total{stage="chunk",type="CancelledError"}'
    equal "${lines[*]}" '3 1 0 3 1 1'
}

@test "what is sent and thrown into a wrapped generator reaches it, and leaving it closes it" {
    loader
    run -0 --separate-stderr program <<'PY'
module = importlib.import_module("qdrant_loader.core.pipeline.source_processor")
stream = module.SourceProcessor().stream_source_documents
async def main():
    items = stream([Text("a"), Text("b"), Text("c")])
    print((await anext(items)).content, (await items.asend("hello")).content)
    mine = OSError("thrown in")
    print((await items.athrow(mine)).content)      # the miniature logs it and goes on, as the loader does
    await items.aclose()
    print(module.CALLS[0])
    closed = []
    async def endless(self):
        try:
            while True:
                yield Text("x")
        finally:
            closed.append(True)
    import qdrant_loader_shim.hooks as hooks
    wrapped = hooks.wrap(endless, hooks.watches.make("fetch"))
    async with contextlib.aclosing(wrapped(None)) as left:
        async for item in left:
            break
    print(closed)
    gone = wrapped(None)
    await anext(gone)
    del gone
    await asyncio.sleep(0.01)
    print(closed)
asyncio.run(main())
PY
    equal "${lines[0]}" 'a b'
    equal "${lines[1]}" 'c'
    equal "${lines[2]}" "('sent', 'hello')"
    equal "${lines[3]}" '[True]'
    equal "${lines[4]}" '[True, True]'
}

@test "documents that a source could not give are errors of the fetch stage" {
    loader
    run -0 --separate-stderr program <<'PY'
stream = of("core.pipeline.source_processor", "SourceProcessor")().stream_source_documents
async def main():
    return [document.content async for document in stream([Text("ä"), OSError("disk"), Text("bc"), ValueError("x")])]
print(asyncio.run(main()))
of("utils.sensitive", "sanitize_exception_message")(KeyError("elsewhere"))
PY
    equal "$output" "['ä', 'bc']"
    run -0 value 'qdrant_loader_stage_'{calls,successes,items,bytes}'_total{stage="fetch"}' 'qdrant_loader_documents_total{state="fetched"}' \
        'qdrant_loader_stage_errors_total{stage="fetch",type="OSError"}' 'qdrant_loader_stage_errors_total{stage="fetch",type="ValueError"}' \
        'qdrant_loader_stage_errors_total{stage="fetch",type="KeyError"}'
    equal "${lines[*]}" '4 2 2 4 2 1 1 n/a'
}

@test "an error inside the shim is counted and the loader does not see it" {
    loader
    run -0 --separate-stderr program <<'PY'
service = of("core.chunking.chunking_service", "ChunkingService")
class Odd(Text):
    def chunk(self):
        return None                              # len() of it fails in the watch
print(service().chunk_document(Odd("")))
import qdrant_loader_shim.hooks as hooks
class Broken:
    def begin(self, args, kwargs):
        raise ZeroDivisionError
    def end(self, call, result, raised):
        raise AssertionError("never begun")
calls = []
async def items():
    calls.append("items")
    yield 1
    yield 2
async def one():
    calls.append("one")
    return 3
async def main():
    return [x async for x in hooks.wrap(items, Broken())()], await hooks.wrap(one, Broken())(), hooks.wrap(lambda: 4, Broken())()
print(asyncio.run(main()), calls)
PY
    equal "$output" $'None\n([1, 2], 3, 4) [\'items\', \'one\']'
    equal "$stderr" ''
    run -0 value 'qdrant_loader_shim_errors_total{type="TypeError"}' 'qdrant_loader_shim_errors_total{type="ZeroDivisionError"}' \
        'qdrant_loader_stage_in_flight{stage="chunk"}'
    equal "${lines[*]}" '1 5 0'
}

@test "a call that is thrown away by other code than it ran in is over" {
    loader
    run -0 --separate-stderr program <<'PY'
import contextvars, types
import qdrant_loader_shim.hooks as hooks
@types.coroutine
def pause():
    yield
async def forever(self, points):
    await pause()
call = hooks.wrap(forever, hooks.watches.make("upsert_points"))(None, [1])
contextvars.copy_context().run(call.send, None)
call.close()
PY
    run -0 value 'qdrant_loader_stage_in_flight{stage="upsert"}' 'qdrant_loader_stage_errors_total{stage="upsert",type="GeneratorExit"}' \
        'qdrant_loader_shim_errors_total{type="ValueError"}'
    equal "${lines[*]}" '0 1 n/a'
}

@test "the backlog, the queue gauges and the documents in wait tell the state between the stages" {
    loader
    run -0 --separate-stderr program <<'PY'
gauges = importlib.import_module("qdrant_loader.core.monitoring.prometheus_metrics")
chunking, service = of("core.pipeline.workers.chunking_worker", "ChunkingWorker"), of("core.chunking.chunking_service", "ChunkingService")
embedding, client = of("core.pipeline.workers.embedding_worker", "EmbeddingWorker"), of("core.embedding.embedding_service", "EmbeddingService")
upsert, manager = of("core.pipeline.workers.upsert_worker", "UpsertWorker"), of("core.qdrant_manager", "QdrantManager")
from qdrant_loader_shim.watches import METRICS as m
def look(where):
    own = [m.backlog.labels(b)._value.get() for b in ("chunk_embed", "embed_upsert")]
    print(where, *map(int, own), *(int(m.backlog_documents.labels(w)._value.get()) for w in ("batch", "chunk_thread")),
          own == [gauges.CHUNK_QUEUE_SIZE._value.get(), gauges.EMBED_QUEUE_SIZE._value.get()])
started, go = threading.Event(), threading.Event()
class Slow(Text):
    def chunk(self):
        started.set()
        go.wait(10)
        return super().chunk()
async def work(documents):
    look("begin")
    loop = asyncio.get_running_loop()
    import concurrent.futures
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    tasks = [asyncio.create_task(chunking(service()).process(d)) for d in documents[:2]]
    await loop.run_in_executor(concurrent.futures.ThreadPoolExecutor(1), started.wait)
    look("one thread, two want it")
    go.set()
    chunks = sum(await asyncio.gather(*tasks), [])
    look("chunked")
    pairs = await embedding(client()).process(chunks)
    look("embedded")
    good = [pair for pair in pairs if pair[1] is not None]
    await upsert(manager()).process(good[:2])
    look("two upserted")
async def main():
    batch = [Slow("a bad c"), Text("d e"), Text("never")]
    await of("core.pipeline.document_pipeline", "DocumentPipeline")().process_batch(batch, work(batch))
    look("end")
    print("at most", *(int(m.backlog_peak.labels(b)._value.get()) for b in ("chunk_embed", "embed_upsert")))
asyncio.run(main())
PY
    equal "$output" "begin 0 0 3 0 True
one thread, two want it 0 0 2 1 True
chunked 5 0 1 0 True
embedded 0 4 1 0 True
two upserted 0 2 1 0 True
end 0 0 0 0 True
at most 5 4"
    run -0 value 'qdrant_loader_chunks_total{state="'{chunked,embedded,embed_failed,upserted,upsert_failed}'"}' \
        'qdrant_loader_documents_total{state="'{chunked,succeeded,failed}'"}' 'qdrant_loader_stage_errors_total{stage="embed",type="EmptyEmbedding"}'
    equal "${lines[*]}" '5 4 1 2 0 2 3 0 1'
}

@test "what a failed batch leaves behind is not in the backlog" {
    loader
    run -0 --separate-stderr program <<'PY'
chunking, service = of("core.pipeline.workers.chunking_worker", "ChunkingWorker"), of("core.chunking.chunking_service", "ChunkingService")
async def work(documents):
    await chunking(service()).process(documents[0])
    raise RuntimeError("the batch")
async def main():
    batch = [Text("a b c"), Text("d")]
    with contextlib.suppress(RuntimeError):
        await of("core.pipeline.document_pipeline", "DocumentPipeline")().process_batch(batch, work(batch))
asyncio.run(main())
PY
    run -0 value 'qdrant_loader_chunks_total{state="chunked"}' 'qdrant_loader_backlog_chunks{between="chunk_embed"}' \
        'qdrant_loader_backlog_documents{waiting_for="batch"}'
    equal "${lines[*]}" '3 0 0'
}

@test "a document whose chunking takes too long is an error of the chunk stage" {
    loader
    run -0 --separate-stderr program <<'PY'
chunking, service = of("core.pipeline.workers.chunking_worker", "ChunkingWorker"), of("core.chunking.chunking_service", "ChunkingService")
go = threading.Event()
class Slow(Text):
    def chunk(self):
        go.wait(10)
        return []
async def main():
    with contextlib.suppress(TimeoutError):
        await chunking(service()).process(Slow(""), 0.05)
    go.set()
asyncio.run(main())
PY
    run -0 value 'qdrant_loader_stage_errors_total{stage="chunk",type="TimeoutError"}' 'qdrant_loader_documents_total{state="chunk_failed"}' \
        'qdrant_loader_stage_in_flight{stage="chunk"}'
    equal "${lines[*]}" '1 1 0'
    # Its thread went on, and has done all that it was asked for.
    run -0 value 'qdrant_loader_stage_calls_total{stage="chunk"}' 'qdrant_loader_stage_successes_total{stage="chunk"}' \
        'qdrant_loader_documents_total{state="chunked"}'
    equal "${lines[*]}" '1 1 0'
}

@test "a call inside a call of its stage is part of it, and its error is the outer one's" {
    loader
    run -0 --separate-stderr program <<'PY'
convert = of("core.conversion.service", "ConversionService")(of("core.file_conversion.file_converter", "FileConverter")())
print(convert.convert("good"), convert.convert("bad"))
manager = of("core.qdrant_manager", "QdrantManager")()
worker = of("core.pipeline.workers.upsert_worker", "UpsertWorker")(manager)
async def main():
    batch = [(Text("a"), [1.0]), (Text("bc"), [1.0])]
    print(*await worker.process(batch), *await worker.process([]))
    manager.raises = ConnectionRefusedError("no")
    print(*await worker.process(batch))
    manager.raises = None
    await manager.upsert_points(points=[1, 2, 3])
asyncio.run(main())
PY
    equal "$output" $'text fallback\n2 0 set() [] 0 0 set() []\n0 2 set() [\'no\']'
    run -0 value 'qdrant_loader_stage_'{calls,successes,items}'_total{stage="convert"}' 'qdrant_loader_stage_errors_total{stage="convert",type="ValueError"}' \
        'qdrant_loader_stage_'{calls,successes,items,bytes}'_total{stage="upsert"}' 'qdrant_loader_stage_errors_total{stage="upsert",type="ConnectionRefusedError"}' \
        'qdrant_loader_chunks_total{state="'{upserted,upsert_failed}'"}'
    equal "${lines[*]}" '2 1 1 1 3 2 5 3 1 2 2'
}

@test "the rate limit's waits are summed, and what of them nothing else was done in is told apart" {
    loader
    run -0 --separate-stderr program <<'PY'
service, chunking = of("core.embedding.embedding_service", "EmbeddingService")(), of("core.chunking.chunking_service", "ChunkingService")()
class Slow(Text):
    def chunk(self):
        import time
        time.sleep(1.2)
        return []
async def main():
    import time
    begin = time.monotonic()
    service.waits = 0.2
    await asyncio.gather(*(service.get_embeddings([Text("a")]) for _ in range(4)))
    middle = time.monotonic()
    # All of this second a document is chunked.
    service.waits = 1.0
    await asyncio.gather(asyncio.to_thread(chunking.chunk_document, Slow("")), service.get_embeddings([Text("a")]))
    print(middle - begin, time.monotonic() - middle)
asyncio.run(main())
PY
    local four one
    read -r four one <<<"${lines[0]}"
    run -0 value qdrant_loader_rate_limit_{wait,idle}_seconds_total qdrant_loader_rate_limit_waiting
    # Four waits of 0.2 s and one of 1 s; 0.2 s of wall time. Longer on a busy machine, by as much as the program itself; never shorter.
    run -0 awk -v all="${lines[0]}" -v idle="${lines[1]}" -v now="${lines[2]}" -v four="$four" -v one="$one" \
        'BEGIN { print (all >= 1.8 && all <= 4 * four + one + 0.05), (idle >= 0.2 && idle <= four + 0.1), now }'
    equal "$output" '1 1 0'
}

@test "HTTP requests are counted by stage and status, even of a client imported before the loader" {
    loader
    FEW=1 run -0 --separate-stderr program <<'PY'
import httpx, requests
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(429 if self.path == "/busy" else 200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"12345")
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
manager = of("core.qdrant_manager", "QdrantManager")
httpx.post(url, content=b"abc")
requests.post(url + "busy", data=b"defg")
import qdrant_loader_shim.hooks as hooks
async def upsert(self, points):
    def ask():
        with httpx.Client() as client:
            return client.post(url, content=b"0123456789").status_code
    with contextlib.suppress(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.post("http://127.0.0.1:1/", content=b"!")
    return await asyncio.to_thread(ask)
print(asyncio.run(hooks.wrap(upsert, hooks.watches.make("upsert_points"))(None, [1])))
PY
    equal "$output" 200
    run -0 value 'qdrant_loader_requests_total{stage="other",status="'{200,429}'"}' 'qdrant_loader_requests_total{stage="upsert",status="'{200,ConnectError}'"}' \
        'qdrant_loader_request_bytes_total{stage="'{other,upsert}'"}' 'qdrant_loader_response_bytes_total{stage="'{other,upsert}'"}' \
        'qdrant_loader_request_duration_seconds_count{stage="upsert"}' 'qdrant_loader_requests_in_flight{stage="upsert"}'
    equal "${lines[*]}" '1 1 1 1 7 11 10 5 2 0'
}

@test "a process that the loader forks counts for itself, and the sum is right" {
    loader
    run -0 --separate-stderr program <<'PY'
import os
service = of("core.chunking.chunking_service", "ChunkingService")()
service.chunk_document(Text("a b"))
if os.fork() == 0:
    service.chunk_document(Text("c d e"))
    os._exit(0)
os.wait()
service.chunk_document(Text("f"))
PY
    equal "$(find mp -name 'counter_*.db' | wc -l)" 2
    run -0 value 'qdrant_loader_stage_'{calls,items}'_total{stage="chunk"}' 'qdrant_loader_shim_hooks{state="placed"}'
    equal "${lines[*]}" '3 6 15'
}

@test "a loader that is killed loses nothing that was counted" {
    loader
    run -137 program <<'PY'
import os
service = of("core.chunking.chunking_service", "ChunkingService")()
for _ in range(100):
    service.chunk_document(Text("a b"))
os.kill(os.getpid(), 9)
PY
    equal "$(value 'qdrant_loader_stage_items_total{stage="chunk"}')" 200
}
