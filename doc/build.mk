# The pictures of the README, drawn anew from what the programs show now.
LINT_SH += doc/pictures.sh
.PHONY: pictures
pictures: all
	sh tests/install-deps.sh tmux python3 recutils util-linux
	BUILD=$(BUILD) bash doc/pictures.sh
