"""Programs of clients, to be run in captured pods with the project's own interpreter: each takes JSON and prints JSON.

How long they wait for an answer is `SECONDS`; what went wrong is in "error".
"""

SECONDS = 5

_BEGIN = f"""
import asyncio, json, socket, ssl, sys
SECONDS = {SECONDS}
asked = json.loads(sys.argv[1])
"""

TCP = (
    _BEGIN
    + """
def receive(connection, wanted):
    said = b""
    while len(said) < wanted and (part := connection.recv(wanted - len(said))):
        said += part
    return said.decode("latin-1")

said = {"received": [], "error": ""}
try:
    with socket.create_connection((asked["host"], asked["port"]), SECONDS) as connection:
        if asked["ca"]:
            tls = ssl.create_default_context(cadata=asked["ca"])
            if asked["certificate"]:
                tls.load_cert_chain(*asked["certificate"])
            connection = tls.wrap_socket(connection, server_hostname=asked["sni"] or asked["host"])
        # What the server says first has to be there before anything is sent.
        if asked["greeting"]:
            said["received"].append(receive(connection, asked["greeting"]))
        for each in asked["messages"]:
            connection.sendall(each.encode("latin-1"))
            said["received"].append(receive(connection, len(each)))
except OSError as error:
    said["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""
)
"""Asked: host, port, messages, each of which is to come back; greeting: bytes that come first; ca: with TLS, PEM."""

GRPC = (
    _BEGIN
    + """
import grpc
if asked["ca"]:
    credentials = grpc.ssl_channel_credentials(asked["ca"].encode())
    channel = grpc.secure_channel(asked["target"], credentials)
else:
    channel = grpc.insecure_channel(asked["target"])
said = {"messages": [], "code": "", "details": "", "initial": [], "trailing": []}
messages = [each.encode() for each in asked["messages"]]
flags = {"timeout": asked["seconds"], "metadata": [tuple(each) for each in asked["metadata"]]}
path = "/" + asked["method"]
kind = path.rpartition("/")[2]
try:
    if kind == "Upload":
        answer, call = channel.stream_unary(path).with_call(iter(messages), **flags)
        said["messages"] = [answer.decode()]
    elif kind == "Download":
        call = channel.unary_stream(path)(messages[0], **flags)
    elif kind == "Chat":
        call = channel.stream_stream(path)(iter(messages), **flags)
    else:
        answer, call = channel.unary_unary(path).with_call(messages[0], **flags)
        said["messages"] = [answer.decode()]
    if kind in ("Download", "Chat"):
        for each in call:
            said["messages"].append(each.decode())
except grpc.RpcError as error:
    call = error
said["code"], said["details"] = call.code().name, call.details()
said["initial"] = [list(each) for each in call.initial_metadata() or ()]
said["trailing"] = [list(each) for each in call.trailing_metadata() or ()]
channel.close()
print(json.dumps(said))
"""
)
"""Asked: target, method (SERVICE/METHOD of tests.outside.rpc), messages, metadata, seconds; ca: with TLS, PEM."""

WEBSOCKET = (
    _BEGIN
    + """
import aiohttp
async def talk():
    said = {"received": [], "error": "", "status": 0, "protocol": None}
    tls = ssl.create_default_context(cadata=asked["ca"]) if asked["ca"] else None
    try:
        async with asyncio.timeout(SECONDS), aiohttp.ClientSession() as session:
            async with session.ws_connect(asked["url"], ssl=tls or True, protocols=asked["protocols"]) as socket:
                said["status"], said["protocol"] = 101, socket.protocol
                for each in asked["messages"]:
                    await socket.send_str(each)
                    said["received"].append(await socket.receive_str())
    except aiohttp.WSServerHandshakeError as error:
        said["status"], said["error"] = error.status, str(error)
    except (OSError, TimeoutError, aiohttp.ClientError, TypeError) as error:
        said["error"] = f"{type(error).__name__}: {error}"
    return said
print(json.dumps(asyncio.run(talk())))
"""
)
"""Asked: url, messages, each of which is to come back, protocols; ca: of a wss server, PEM."""
