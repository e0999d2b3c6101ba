#!/bin/sh
# A few inputs to start from: real packets in hex, words of the grammar, and what
# the applications say.
set -eu
cd "$(dirname "$0")"
bytes() { mkdir -p "corpus/$1"; printf '%s' "$3" | xxd -r -p >"corpus/$1/$2"; }
words() { mkdir -p corpus/grammar; printf '%s' "$2" >"corpus/grammar/$1"; }
# With the escapes of printf(1).
said() { mkdir -p "corpus/$1"; printf '%b' "$3" >"corpus/$1/$2"; }
reply=00001234000100010001020304050607
exceeded=0b00f4ff0000000045000024320c4000010131960a0101010a0401020800b86b4880000100010203
mpls=2000ddd3000c010105dcf00100010b40
bytes wire reply "$reply"
bytes wire reply_with_header "4500002400004000400100000a0401020a010101$reply"
bytes wire request "0800b86b48800001$reply"
echo_v4=4500002400004000400100000a0101020a0101010800b86b4880000100010203
redirect_v6=8900000000000000fe800000000000000000000000000001fd040000000000000000000000000002
header_v6=60000000000c3a40fd010000000000000000000000000001fd040000000000000000000000000002
bytes exchange exceeded "$exceeded"
bytes exchange looped "02000000000102000000000208004500001c$(printf %s "$echo_v4" | cut -c9-56)"
bytes exchange redirect "050100000a090003$echo_v4"
bytes exchange redirect_v6 "${redirect_v6}0408000000000000${header_v6}800000004880000100010203"
bytes dissect exceeded "4500004000004000400100000a0101020a010101$exceeded"
bytes dissect udp 4500002000004000401126310a4d00010a4d000213d113d1000cf2c468696869
bytes icmp_error exceeded "$exceeded"
bytes icmp_error mpls "$mpls"
words netem 'delay 20ms 5ms 25% loss gemodel 1% 10% rate 1mbit'
words clauses 'up loss 5%; at 2s down delay 100ms; drop "c2s data#3"'
words selector 'syn#1'

# The hash of "hello".
hash=blake3:ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f
said chat lines 'bob\nhello\n/who\n/nick ann\n/msg ann psst\n/help\nexit\n'
said chat telnet '\0377\0375\01bob\r\n\0033[2J\0342\0200\0256hello\r\n'
said chat datagram '#7 ann hello'
said chat alive '=7 ann'
said chat departure '-7 ann'
said file greeting 'HELLO version=1 role=send name=a address=192.0.2.1:5073\n'
said file sender "MANIFEST files=1 \
directories=1 bytes=5\nDIR name=d mode=755 mtime=1.5\nFILE name=d/f mode=644 mtime=0 size=5 \
block=2048 hash=blake3\nDATA offset=2 length=3\nlloEND bytes=5 hash=$hash\nDONE files=1 bytes=5\n"
said file receiver "MADE\nSEND offset=0 block=2048 \
prefix-hash=$hash\nOK\nCHECK\nSKIP reason=exists\nDONE files=1 bytes=5\n"
said file refusal 'MADE\nWAIT\nFAIL code=changed\nBYE code=full\n'
# Whether there are users, where it is cut, and what is said.
said proxy socks5 '\00\00\00\05\01\00\05\01\00\01\0300\00\02\01\00\0120'
said proxy password '\01\04\00\05\01\02\01\03ann\06secret\05\01\00\03\01a\00\0120'
said proxy associate '\00\00\00\05\01\00\05\03\00\04\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00'
said proxy bind '\00\00\00\05\01\00\05\02\00\01\0300\00\02\01\00\0120'
said proxy socks4a '\00\00\00\04\01\00\0120\00\00\00\01ann\00example.org\00'
said proxy http '\01\011\00CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\nrest'
said proxy answered '\00\00\00HTTP/1.1 200 OK\r\n\r\nrest'
said proxy granted '\00\00\00\05\00\05\00\00\01\0300\00\02\01\00\0120rest'
said proxy datagram '\00\00\00\00\00\00\01\0300\00\02\01\00\065data'
# From 128 on: a conversation behind a true handshake.
said remote listed '\0200\00\05\05\04'
said remote run '\0200\02\07\0111\012\0133\01\0116'
said remote cut '\0200\02\0307'
said remote changed '\0200\02\0347'
said remote repeated '\0200\02\0367'
said remote keys 'CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= bob\n'
said remote known 'example.org CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'
said remote list 'concurrent = 2\n[builtin]\nreboot = "dry-run"\n[[command]]\nid = "x"\n\
program = "/bin/x"\narguments = ["--", "{a}-{b}"]\ntimeout = "1s"\nlimits = { memory = "1mb" }\n\
[[command.parameter]]\nname = "a"\ntype = "integer"\nleast = 0\nmost = 9\n\
[[command.parameter]]\nname = "b"\ntype = "text"\ncharacters = "a-z"\nmost = 9\ndefault = "b"\n'
