"""The constant scripts of the reading verbs: POSIX sh, arguments only through variables set before (`shell.assign`).

None of them writes, takes a command, or runs `nginx -t`/`-T`, which touch files.
"""

from __future__ import annotations

PROCESSES = r"""
echo "@@clock"
read -r before rest < /proc/uptime
date +%s.%N
read -r after rest < /proc/uptime; echo "$before $after"
echo "@@processes"
for d in /proc/[0-9]*; do
  c=; { read -r c < "$d/comm"; } 2>/dev/null || continue
  case $c in nginx|haproxy) ;; *) continue;; esac
  s=; { read -r s < "$d/stat"; } 2>/dev/null || continue
  printf 'P %s %s %s\n' "${d#/proc/}" "$c" "${s##*) }"
  a=; w=
  if [ "$c" = nginx ]; then { IFS= read -r a < "$d/cmdline"; } 2>/dev/null
  else a=$(tr '\000\n' '\037 ' < "$d/cmdline"); w=$(readlink "$d/cwd"); fi
  printf '%s\n%s\n' "$a" "$w"
done
echo "@@end"
"""
"""Sections clock (now; uptime before and after) and processes (of each: P pid name and the fields of its stat, a line
of arguments, its folder). nginx writes a title in place of its arguments, so no program is needed to read it."""

PROBE = (
    r"""
echo "@@identity"
id -un; id -u; uname -n
echo "@@tools"
for t in flock unshare sha256sum readlink socat python3 perl curl ss ps systemctl sudo sync stat base64; do
  command -v "$t" >/dev/null 2>&1 && echo "$t"
done
echo "@@nginx"
command -v nginx >/dev/null 2>&1 && nginx -V 2>&1 | tr ' ' '\n' | grep -E '^nginx/|^--(conf-path|pid-path|prefix)='
echo "@@haproxy"
command -v haproxy >/dev/null 2>&1 && haproxy -v | head -n 1
echo "@@sockets"
sed -n 's/^[^ ]* [^ ]* [^ ]* 00010000 [^ ]* [^ ]* [^ ]* \(\/.*\)$/\1/p' /proc/net/unix | head -n 200
echo "@@rights"
e=
if [ "$SUDO" = 1 ]; then
  if e=$(sudo -n -l /bin/sh 2>&1) && e=$(sudo -n /bin/sh -c : 2>&1); then echo "shell"; e=
  else e="sudo: ${e:-may not run /bin/sh}"; fi
  for n in nginx haproxy; do
    sudo -n -l systemctl reload $n >/dev/null 2>&1 && echo "systemctl reload $n"
  done
  x=$(command -v nginx) && sudo -n -l "$x" -t >/dev/null 2>&1 && echo "nginx -t"
  x=$(command -v nginx) && sudo -n -l "$x" -s reload >/dev/null 2>&1 && echo "nginx -s reload"
fi
echo "@@sudo"
printf '%s\n' "$e"
"""
    + PROCESSES
)
"""Everything that is asked before anything else, in one round trip. Variable: SUDO (1 or 0)."""

TREE = r"""
NL='
'
SEEN=$NL; FOLDER=; REAL=
inside() {
  IFS=$NL; set -f
  for k in $ROOTS; do
    case $1 in "$k"|"$k"/*) IFS=; set +f; return 0;; esac
  done
  IFS=; set +f; return 1
}
emit() {
  f=$1
  case $f in *"$NL"*) return;; esac
  [ -e "$f" ] || return
  [ "${f%/*}" = "$FOLDER" ] || { FOLDER=${f%/*}; REAL=$(readlink -f -- "$FOLDER/") || return; }
  l=${REAL%/}/${f##*/}; r=$l
  [ -L "$f" ] && { r=$(readlink -f -- "$f") || return; }
  if [ -d "$r" ]; then
    [ "$DIRS" = 1 ] || return
    IFS=
    for y in "$r"/*.cfg; do emit "$y"; done
    return
  fi
  [ -f "$r" ] || return
  if ! inside "$l" && ! inside "$r"; then printf 'X\t%s\n' "$r"; return; fi
  if ! [ -r "$r" ]; then printf 'U\t%s\n' "$r"; return; fi
  case $SEEN in *"$NL$r$NL"*) printf 'D\t%s\n' "$r"; return;; esac
  SEEN=$SEEN$r$NL
  w=0; [ -w "$r" ] && [ -w "${r%/*}/" ] && w=1
  printf 'F\t%s\t%s\t%s\n' "$(stat -c '%s %a %U %G %.6Y %.6Z' -- "$r")" "$w" "$r"
  head -c "$MAXIMUM" -- "$r"
  printf '\n%s\n' "$MARK"
}
IFS=$NL; set -f
set -- $GLOBS
set +f; IFS=
for g in "$@"; do
  printf 'G\t%s\n' "$g"
  for x in $g; do emit "$x"; done
done
"""
"""Files by globs. Variables: GLOBS and ROOTS (a line each), MARK, MAXIMUM bytes of a file, DIRS (1: a folder stands
for its `*.cfg`). Lines: G glob; F facts; X outside; U unreadable; D sent before."""

FACTS = r"""
NL='
'
IFS=$NL; set -f
for p in $PATHS; do
  [ -f "$p" ] || continue
  w=0; [ -w "$p" ] && [ -w "${p%/*}/" ] && w=1
  h=$(sha256sum < "$p"); h=${h%% *}
  printf 'F\t%s\t%s\t%s\t%s\n' "$(stat -L -c '%s %a %U %G %.6Y %.6Z' -- "$p")" "$w" "$h" "$p"
done
"""
"""Variable: PATHS (a line each)."""

RIGHTS = r"""
NL='
'
IFS=$NL; set -f
for p in $PATHS; do
  [ -w "$p" ] && [ -w "${p%/*}/" ] && printf 'W\t%s\n' "$p"
  [ -O "$p" ] && printf 'O\t%s\n' "$p"
  for w in "$p" "${p%/*}/"; do
    a=$(lsattr -d -- "$w" 2>/dev/null) && case ${a%% *} in *i*|*a*) printf 'I\t%s\n' "$p";; esac
  done
  best=; how=
  while IFS=' ' read -r _ _ _ _ m o rest; do
    case $p/ in "${m%/}"/*) [ "${#m}" -ge "${#best}" ] && { best=$m; how=,$o,${rest##* },; };; esac
  done < /proc/self/mountinfo
  case $how in *,ro,*) printf 'R\t%s\n' "$p";; esac
done
for d in $PIDS; do kill -0 "$d" 2>/dev/null && printf 'K\t%s\n' "$d"; done
"""
"""What this user may do, without doing it: write a file and its folder (W), keep its owner (O), signal a process (K);
and what not even root may: write an immutable file or into such a folder (I), write to a read-only file system (R).
Variables: PATHS and PIDS (a line each)."""

LOG_TAIL = r"""
[ -f "$LOG" ] || { echo missing; exit 0; }
[ -r "$LOG" ] || { echo unreadable; exit 0; }
n=$(stat -L -c %s -- "$LOG")
[ "$FROM" = end ] && { echo "$n"; exit 0; }
[ "$FROM" -gt "$n" ] && FROM=0
echo "$FROM"
tail -c "+$((FROM + 1))" -- "$LOG" | head -c "$MAXIMUM"
"""
"""Variables: LOG, FROM (bytes, or `end`), MAXIMUM. First line: the offset of the bytes after it."""

ADDRESSES = r"""
command -v getent >/dev/null 2>&1 || exit 0
t=; command -v timeout >/dev/null 2>&1 && t='timeout 3'
for n in $NAMES; do
  { a=$($t getent ahosts "$n" 2>/dev/null) && printf '%s\n' "$a" | while read -r a kind rest; do
    [ "$kind" = STREAM ] && printf 'A\t%s\t%s\n' "$n" "$a"
  done; } &
done
wait
"""
"""Variable: NAMES (with blanks between). Lines: A name address, as the host itself resolves its names."""

WATCH = r"""
NL='
'
IFS=$NL; set -f
stat -L -c '%n %i %s %Z %.6Z' -- $PATHS
IFS=' '
for d in $PIDS; do
  s=; { read -r s < "/proc/$d/stat"; } 2>/dev/null && { s=${s##*) }; set -- $s; echo "$d ${20}"; }
  { read -r s < "/proc/$d/task/$d/children"; } 2>/dev/null; echo "$s"
done
"""
"""Variables: PATHS (a line each), PIDS (masters). What it prints changes when files or workers do."""

SOCKET = r"""
if command -v socat >/dev/null 2>&1; then
  case $SOCKET in /*) to=UNIX-CONNECT:$SOCKET;; *) to=TCP:$SOCKET;; esac
  printf '%s\n' "$COMMAND" | socat -t 5 - "$to" || exit 91
elif command -v python3 >/dev/null 2>&1; then
  python3 -c '
import socket, sys
to = sys.argv[1]
if to[0] == "/":
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(to)
else:
    host, _, port = to.rpartition(":")
    s = socket.create_connection((host.strip("[]"), int(port)), 5)
s.sendall(sys.argv[2].encode() + b"\n")
while True:
    d = s.recv(65536)
    if not d: break
    sys.stdout.buffer.write(d)
' "$SOCKET" "$COMMAND" || exit 91
elif command -v perl >/dev/null 2>&1; then
  perl -MIO::Socket::UNIX -MIO::Socket::INET -e '
$to = $ARGV[0]; $s = $to =~ m{^/} ? IO::Socket::UNIX->new(Peer => $to) : IO::Socket::INET->new(PeerAddr => $to);
$s or exit 1; print $s "$ARGV[1]\n"; print while <$s>;
' "$SOCKET" "$COMMAND" || exit 91
else
  exit 90
fi
"""
"""One line to a socket where the SSH server does not forward to it. Variables: SOCKET, COMMAND. Exit 90: no
program for it; 91: the socket does not let us in."""
