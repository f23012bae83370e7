"""A stand-in for Redis where it cannot be installed: PING, GET, SET and INCR.

    fallback_store.py ADDRESS PORT

It speaks the same protocol and keeps everything in memory, so the application
does not know the difference. It is part of an example, not a database.
"""

import asyncio
import sys

WORDS_MAX = 4
WORD_BYTES_MAX = 4096
KEYS_MAX = 1000

values = {}


async def read_command(reader):
    """Returns the words of the next command; None at the end."""
    line = await reader.readline()
    if not line:
        return None
    if line[:1] != b"*" or not 1 <= int(line[1:]) <= WORDS_MAX:
        raise ValueError("a command is a short list")
    words = []
    for _ in range(int(line[1:])):
        head = await reader.readline()
        if head[:1] != b"$" or not 0 <= int(head[1:]) <= WORD_BYTES_MAX:
            raise ValueError("a word is a short text")
        words.append((await reader.readexactly(int(head[1:]) + 2))[:-2])
    return words


def carry_out(words):
    """Carries a command out and returns the answer as it is sent."""
    name, arguments = words[0].upper(), words[1:]
    if name == b"PING":
        return b"+PONG\r\n"
    if name == b"INCR" and len(arguments) == 1:
        if len(values) >= KEYS_MAX and arguments[0] not in values:
            return b"-ERR too many keys\r\n"
        number = int(values.get(arguments[0], b"0")) + 1
        values[arguments[0]] = b"%d" % number
        return b":%d\r\n" % number
    if name == b"SET" and len(arguments) == 2:
        if len(values) >= KEYS_MAX and arguments[0] not in values:
            return b"-ERR too many keys\r\n"
        values[arguments[0]] = arguments[1]
        return b"+OK\r\n"
    if name == b"GET" and len(arguments) == 1:
        value = values.get(arguments[0])
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
    return b"-ERR this stand-in knows PING, GET, SET and INCR only\r\n"


async def serve(reader, writer):
    """Answers the commands of one connection."""
    try:
        while (words := await read_command(reader)) is not None:
            writer.write(carry_out(words))
            await writer.drain()
    except (OSError, ValueError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    """Serves for ever."""
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
