#!/bin/sh
# A few inputs to start from: real packets in hex, and words of the grammar.
set -eu
cd "$(dirname "$0")"
bytes() { mkdir -p "corpus/$1"; printf '%s' "$3" | xxd -r -p >"corpus/$1/$2"; }
words() { mkdir -p corpus/grammar; printf '%s' "$2" >"corpus/grammar/$1"; }
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
