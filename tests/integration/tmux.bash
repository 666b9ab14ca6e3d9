# shellcheck shell=bash
# shellcheck disable=SC2317 # functions for wait_for, and in place of the program
# A person at a terminal, played by tmux. Loaded behind helpers.bash.

# need_tmux: a server of the test's own.
need_tmux() {
	command -v tmux >/dev/null || skip 'tmux is missing: see tests/install-deps'
	tmux() { TMUX='' command tmux -f /dev/null -S "$T/tmux" "$@"; }
}

# screen: what the person sees, without trailing blanks.
screen() {
	tmux capture-pane -p -t 0 | sed 's/ *$//'
}

# sees REGEX: a line of the screen is that, in time.
sees() {
	seen() { screen | grep -Eqx -- "$1"; }
	wait_for -t 10 seen "$1" || fail 'the screen:' "$(screen)"
}
