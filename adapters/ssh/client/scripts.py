"""The constant scripts of the reading verbs: POSIX sh, arguments only through variables set before (`shell.assign`).

None of them writes or takes a command. What a program's own folder adds to discovery (`Program.describe`) is constant
too.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.ssh.client.program import Program
from adapters.ssh.client.shell import assign

PROCESSES = r"""
echo "@@clock"
read -r before rest < /proc/uptime
date +%s.%N
read -r after rest < /proc/uptime; echo "$before $after"
echo "@@processes"
RUNNING=
for d in /proc/[0-9]*; do
  c=; { read -r c < "$d/comm"; } 2>/dev/null || continue
  case $c in *[!a-z0-9_-]*) continue;; esac
  case " $NAMES " in *" $c "*) ;; *) continue;; esac
  s=; { read -r s < "$d/stat"; } 2>/dev/null || continue
  printf 'P %s %s %s\n' "${d#/proc/}" "$c" "${s##*) }"
  RUNNING="$RUNNING${d#/proc/}
"
  a=; w=
  case " $TITLED " in
    *" $c "*) { IFS= read -r a < "$d/cmdline"; } 2>/dev/null;;
    *) a=$(tr '\000\n' '\037 ' < "$d/cmdline"); w=$(readlink "$d/cwd");;
  esac
  printf '%s\n%s\n' "$a" "$w"
done
echo "@@end"
"""
"""Sections clock (now; uptime before and after) and processes (of each: P pid name and the fields of its stat, a line
of arguments, its folder). Variables: NAMES of programs, and those that are TITLED: a title in the place of arguments
takes no program to be read."""


def of_processes(programs: Iterable[Program]) -> str:
    """The variables that `PROCESSES` takes."""
    known = list(programs)
    titled = " ".join(program.name for program in known if program.titled)
    return assign(NAMES=" ".join(program.name for program in known), TITLED=titled)


_IDENTITY = r"""
echo "@@identity"
id -un; id -u; uname -n
echo "@@tools"
for t in flock unshare sha256sum readlink socat python3 perl curl ss ps systemctl sudo sync stat base64; do
  command -v "$t" >/dev/null 2>&1 && echo "$t"
done
echo "@@sockets"
sed -n 's/^[^ ]* [^ ]* [^ ]* 00010000 [^ ]* [^ ]* [^ ]* \(\/.*\)$/\1/p' /proc/net/unix | head -n 200
e=
if [ "$SUDO" = 1 ]; then
  echo "@@shell"
  if e=$(sudo -n -l /bin/sh 2>&1) && e=$(sudo -n /bin/sh -c : 2>&1); then echo "yes"; e=
  else e="sudo: ${e:-may not run /bin/sh}"; fi
  echo "@@allowed"
  printf '%s\n' "$ASKED" | while IFS=' ' read -r x rest; do
    x=$(command -v "$x") || continue
    set -f
    sudo -n -l "$x" $rest >/dev/null 2>&1 </dev/null && echo "${x##*/} $rest"
  done
fi
echo "@@sudo"
printf '%s\n' "$e"
"""


def probe(programs: Iterable[Program], sudo: bool) -> str:
    """Everything that is asked before anything else, in one round trip. `sudo`: ask what it allows, too."""
    known = list(programs)
    asked = "\n".join(" ".join(command) for program in known for command in program.sudo)
    said = "".join(f'echo "@@said {program.name}"\n{program.describe}\n' for program in known)
    return assign(SUDO=int(sudo), ASKED=asked) + of_processes(known) + said + _IDENTITY + PROCESSES


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
all_of() {
  IFS=$NL; set -f
  set -- $1
  set +f; IFS=
  for g in "$@"; do
    printf 'G\t%s\n' "$g"
    for x in $g; do emit "$x"; done
  done
}
DIRS=1; all_of "$MAINS"
DIRS=0; all_of "$GLOBS"
unset IFS
printf '\n%s end\n' "$MARK"
"""
"""Files by globs. Variables: MAINS (a folder among them stands for its `*.cfg`), GLOBS and ROOTS (a line each), MARK,
MAXIMUM bytes of a file. Lines: G glob; F facts; X outside; U unreadable; D sent before."""

FACTS = r"""
echo "@@files"
NL='
'
IFS=$NL; set -f
for p in $PATHS; do
  [ -f "$p" ] || continue
  w=0; [ -w "$p" ] && [ -w "${p%/*}/" ] && w=1
  h=$(sha256sum < "$p"); h=${h%% *}
  printf 'F\t%s\t%s\t%s\t%s\n' "$(stat -L -c '%s %a %U %G %.6Y %.6Z' -- "$p")" "$w" "$h" "$p"
done
unset IFS; set +f
"""
"""Section files: facts of PATHS (a line each)."""

RIGHTS = r"""
echo "@@rights"
NL='
'
IFS=$NL; set -f
[ -n "$PATHS" ] || PATHS=$SEEN
[ -n "$PIDS" ] || PIDS=$RUNNING
for p in $PATHS; do
  printf 'A\t%s\n' "$p"
  [ -w "$p" ] && [ -w "${p%/*}/" ] && printf 'W\t%s\n' "$p"
  [ -O "$p" ] && printf 'O\t%s\n' "$p"
  best=; how=
  while IFS=' ' read -r _ _ _ _ m o rest; do
    case $p/ in "${m%/}"/*) [ "${#m}" -ge "${#best}" ] && { best=$m; how=,$o,${rest##* },; };; esac
  done < /proc/self/mountinfo
  case $how in *,ro,*) printf 'R\t%s\n' "$p";; esac
done
lsattr -d -- $PATHS $(for p in $PATHS; do printf '%s\n' "${p%/*}/"; done | sort -u) 2>/dev/null |
while IFS=' ' read -r a p; do
  case $a in *i*|*a*) printf 'I\t%s\n' "$p";; esac
done
for d in $PIDS; do printf 'S\t%s\n' "$d"; kill -0 "$d" 2>/dev/null && printf 'K\t%s\n' "$d"; done
"""
"""Section rights: what was asked of (A a path, S a process), and what this user may do with it, without doing it:
write a file and its folder (W), keep its owner (O), signal a process (K); and what not even root may: write an
immutable file or into such a folder (I), write to a read-only file system (R). Variables: PATHS and PIDS (a line each),
or the SEEN of the tree and the RUNNING of the processes."""

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
