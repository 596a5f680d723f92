# Completion for bash and zsh. bash looks a file up by the program's name, so there is one for each.
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPLETIONDIR ?= $(PREFIX)/share/zsh/site-functions

.PHONY: install-completions
INSTALLS += install-completions
install-completions:
	install -D -m 0644 completions/lockctl.bash $(DESTDIR)$(BASHCOMPLETIONDIR)/lockctl
	install -D -m 0644 completions/lockctl.bash $(DESTDIR)$(BASHCOMPLETIONDIR)/tablestore
	install -D -m 0644 completions/_lockctl $(DESTDIR)$(ZSHCOMPLETIONDIR)/_lockctl

LINT_SH += completions/lockctl.bash
