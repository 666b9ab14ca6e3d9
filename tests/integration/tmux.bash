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

# at_terminal COLUMNS ROWS: a shell of the host on a terminal of that size.
at_terminal() {
	OCI_TEST_MARK=$MARK tmux new-session -d -x "$1" -y "$2" "PS1='host> ' ENV= exec busybox sh -i" 3>&-
	STARTED+=("$(tmux display-message -p '#{pid}')")
	tmux set-option -g window-size manual >/dev/null
	sees 'host>'
}

# bye: the server ends with its only session.
bye() {
	tmux kill-server
	wait_for gone "${STARTED[-1]}"
}
