# The manual, and what else is read: installed as it is.
MANUALS := $(wildcard man/*.[1-8])

.PHONY: install-manuals
INSTALLS += install-manuals
install-manuals:
	for manual in $(MANUALS); do \
		install -D -m 0644 $$manual $(DESTDIR)$(MANDIR)/man$${manual##*.}/$${manual##*/} || exit 1; \
	done
	for text in README.md LICENSE $(wildcard CHANGELOG.md doc/*.md doc/*.svg); do \
		install -D -m 0644 $$text $(DESTDIR)$(DOCDIR)/$$text || exit 1; \
	done
