/*
 * A model of the lock's protocol: two guarded processes that take it, set the mark, change the
 * table and let go (shim/lock/lock.h, steps 2 to 8), lockctls that break the lock of the first
 * (shim/lock/takeover.h, steps 1 to 8), and a lockctl recover. Each may die between any two steps.
 * What a crash means is chosen by -D: nothing (--on-crash report), FAIL or ROLLBACK (shim/lock/undo.h).
 * Checked for all orders:
 *
 *   - the table is changed by nobody but whoever has the lock: so by one at most, and not by a
 *     holder that was broken, through calls, buffers or mappings;
 *   - who takes a lock inside of which another died or was broken gets to know it (report), is kept
 *     out until the table was accepted (FAIL), or finds the table as before (ROLLBACK);
 *   - what somebody has let go of in order is there for all who come later;
 *   - a break frees the acquisition that it named and no newer one;
 *   - nobody waits for ever (spin's own check of end states).
 *
 * A step left out (-D WITHOUT_FENCE and so on) must be found out: tests/model/check.sh.
 */
#define NOBODY 255
#define OLD 0 /* the process that is broken; both do the same */
#define RECOVERER 2
#ifndef BREAKERS
#define BREAKERS 1
#endif
#ifndef SESSIONS
#define SESSIONS 2
#endif

byte locked = NOBODY; /* whose description has the flock */
byte copies;          /* of OLD's description, that lockctls have */
byte breaking = NOBODY; /* the lockctl that excludes the others */
bool dead[2];

/* The fence in each process's memory. */
byte raised[2];
byte calls[2];
byte fence_acquisition[2]; /* 0: over, or none yet */
bool holds[2];             /* in its own eyes; asked by assertions alone */

/* The registry. */
byte acquisition;
byte broken;
bool mark;
byte mark_owner;
byte mark_acquisition;
bool crashed;

/* The table: which inode its file is, and which the processes have open. */
byte table_inode;
byte file_inode[2];
bool file_open[2];

/* What is true, whether or not anybody says so: the table is half-written; which sessions' changes
 * are in it; and how many of them there were when their owners let go in order. */
bool half_written;
byte present;
byte acknowledged;

/* The undo journal: what was there before. */
bool journal;
byte saved;

/* A byte that reaches an inode: of the table, or one that is no longer in it. */
inline change_inode(id, inode)
{
    atomic {
        if
        :: inode == table_inode ->
            assert(locked == id);
            half_written = true
        :: else
        fi
    }
}

inline drop_description(id)
{
    if
    :: locked == id && dead[id] && !(id == OLD && copies > 0) -> locked = NOBODY
    :: else
    fi
}

inline die(id)
{
    atomic {
        dead[id] = true;
        file_open[id] = false;
        drop_description(id)
    }
}

/* Puts the table back, step by step: a crash between two leaves the journal for the next one. */
inline undo_table()
{
    half_written = true;
    atomic {
        present = saved;
        half_written = false
    };
    journal = false
}

#define MAY_DIE \
    if \
    :: skip \
    :: die(id); goto end_of_process \
    fi

/* A call begins: counts itself in, then looks (fence.h). */
inline begin_call(id, refused)
{
    calls[id]++;
#ifdef WITHOUT_FENCE
    refused = false
#else
    refused = raised[id] != 0 && raised[id] == fence_acquisition[id];
#ifndef CHANGES_ALONE
    assert(!refused || holds[id]) /* who has let go in order is not harmed */
#endif
#endif
}

proctype guarded(byte id)
{
    byte sessions = SESSIONS;
    bool refused;

    do
    :: sessions == 0 -> break
    :: sessions > 0 ->
        sessions--;
        begin_call(id, refused);
        if
        :: refused -> calls[id]--; break
        :: else
        fi;
        /* take, 2: flock, when it is free */
        atomic { locked == NOBODY -> locked = id };
        MAY_DIE;
        /* take, 5: the mark of the last holder, … */
        atomic {
            if
            :: mark && (dead[mark_owner] || mark_acquisition == broken) ->
#ifndef WITHOUT_CRASHED
                crashed = true;
#endif
                mark = false
            :: else
            fi
        };
        MAY_DIE;
#ifdef ROLLBACK
#ifndef WITHOUT_ROLLBACK
        if
        :: journal ->
            assert(locked == id);
            undo_table();
            MAY_DIE;
            crashed = false
        :: else
        fi;
#endif
        assert(!half_written && present == acknowledged);
#endif
#ifdef FAIL
        if
        :: crashed -> /* EOWNERDEAD */
            locked = NOBODY;
            calls[id]--;
            break
        :: else
        fi;
        assert(!half_written);
#endif
        assert(!half_written || crashed);
        /* … and ourselves into the registry */
        atomic {
            acquisition++;
            fence_acquisition[id] = acquisition;
            holds[id] = true
        };
        MAY_DIE;
        /* change, 6: the mark, the journal, then the change, by a call by name */
#ifndef WITHOUT_MARK
        atomic {
            mark = true;
            mark_owner = id;
            mark_acquisition = fence_acquisition[id]
        };
#endif
        MAY_DIE;
#ifdef ROLLBACK
#ifdef WITHOUT_JOURNAL_FIRST
        change_inode(id, table_inode);
        MAY_DIE;
#endif
        atomic {
            saved = present;
            journal = true
        };
        MAY_DIE;
#endif
        change_inode(id, table_inode);
        atomic {
            file_inode[id] = table_inode;
            file_open[id] = true
        };
        calls[id]--;
        MAY_DIE;
        /* a call through the descriptor: counted until it has entered */
        begin_call(id, refused);
        calls[id]--;
        MAY_DIE;
        if
        :: refused -> goto fenced
        :: else -> change_inode(id, file_inode[id])
        fi;
        MAY_DIE;
        /* a buffer or a mapping: asks nobody */
        change_inode(id, file_inode[id]);
        /* release, 7 and 8 */
        begin_call(id, refused);
#ifdef WITHOUT_COUNTED_RELEASE
        calls[id]--;
#endif
        if
        :: refused -> goto fenced_in_call
        :: else
        fi;
        file_open[id] = false;
        MAY_DIE;
        /* the change is whole; dropping the journal is the commit */
        atomic {
            half_written = false;
            present++;
#if !defined(ROLLBACK) || defined(WITHOUT_COMMIT)
            acknowledged++
#else
            skip
#endif
        };
#if defined(ROLLBACK) && !defined(WITHOUT_COMMIT)
        MAY_DIE;
        atomic {
            journal = false;
            acknowledged++
        };
#endif
        MAY_DIE;
        atomic {
            mark = false;
            crashed = false
        };
        MAY_DIE;
        atomic {
            if
            :: locked == id -> locked = NOBODY
            :: else
            fi;
            holds[id] = false
        };
#ifndef WITHOUT_OVER
        fence_acquisition[id] = 0; /* of what is over nothing can be broken */
#endif
#ifdef WITHOUT_COMMIT
        journal = false; /* too late: the next one has been in */
#endif
#ifndef WITHOUT_COUNTED_RELEASE
        calls[id]--
#endif
    od;
    goto end_of_process;

fenced_in_call:
#ifndef WITHOUT_COUNTED_RELEASE
    calls[id]--;
#endif
fenced:
    /* what it still has in buffers is flushed when it ends */
    if
    :: file_open[id] -> change_inode(id, file_inode[id])
    :: else
    fi;

end_of_process:
    die(id)
}

#define LOCKCTL_MAY_DIE \
    if \
    :: skip \
    :: goto end_of_break \
    fi

proctype lockctl(byte self)
{
    byte named;

    /* 1: it is the process that was named */
    if
    :: dead[OLD] -> goto nothing_shared
    :: locked == OLD && fence_acquisition[OLD] != 0
    :: goto nothing_shared
    fi;
    named = fence_acquisition[OLD]; /* 0 by now: a fence that stops nothing */
    /* 2: a copy of the description, if it has the lock */
    atomic {
        if
        :: !dead[OLD] && locked == OLD -> copies++
        :: else -> goto nothing_shared
        fi
    };
    LOCKCTL_MAY_DIE;
#ifndef WITHOUT_EXCLUSION
    /* one break at a time; what another one has freed meanwhile is no matter any more */
    atomic { breaking == NOBODY -> breaking = self };
    if
    :: locked == OLD
    :: else -> goto end_of_break
    fi;
#endif
    broken = named;
    /* 3: the fence */
    raised[OLD] = named;
    LOCKCTL_MAY_DIE;
    /* 4: no call that began before is under way; one that does not end is killed */
#ifndef WITHOUT_WAITING
    (calls[OLD] == 0 || dead[OLD]);
#endif
    /* 5: it is still the acquisition that was named */
#ifndef WITHOUT_CHECKING
    if
    :: locked == OLD && named != 0 && fence_acquisition[OLD] == named
    :: else -> broken = 0; raised[OLD] = 0; goto end_of_break
    fi;
#endif
    LOCKCTL_MAY_DIE;
    /* 6: fresh inodes, while nobody else can have changed the old ones */
#ifndef WITHOUT_FRESH_INODES
#ifndef CHANGES_ALONE
    assert(locked == OLD);
#endif
    table_inode++;
#endif
    LOCKCTL_MAY_DIE;
#ifdef ROLLBACK
    if
    :: journal -> undo_table()
    :: else
    fi;
    LOCKCTL_MAY_DIE;
#endif
    /* 7: the mark is that of a broken holder */
#ifdef WITHOUT_SETTLING
    broken = 0;
#else
    atomic {
        if
        :: mark -> mark_acquisition = named
        :: else
        fi;
        broken = named
    };
#endif
    LOCKCTL_MAY_DIE;
    /* 8: the next waiter enters */
    atomic {
        if
        :: locked == OLD ->
#ifndef CHANGES_ALONE
            assert(fence_acquisition[OLD] == named);
#endif
            locked = NOBODY
        :: else
        fi
    };

end_of_break:
    atomic {
        copies--;
        if
        :: breaking == self ->
#ifndef WITHOUT_DROPPED_EXCLUSION
            breaking = NOBODY
#else
            skip
#endif
        :: else
        fi;
        drop_description(OLD)
    };
nothing_shared:
    skip
}

/* lockctl recover: takes the lock if it is free, and refuses where it is not. */
proctype recover()
{
#ifndef WITHOUT_RECOVERERS_LOCK
    atomic {
        if
        :: locked == NOBODY -> locked = RECOVERER
        :: else -> goto held
        fi
    };
#endif
#ifdef ROLLBACK
    if
    :: journal -> undo_table(); crashed = false; mark = false
    :: skip
    fi;
#else
    /* somebody has looked at the table, and says that it will do */
    if
    :: crashed || (mark && (dead[mark_owner] || mark_acquisition == broken)) ->
        atomic {
            half_written = false;
            crashed = false;
            mark = false
        }
    :: skip
    fi;
#endif
#ifndef WITHOUT_RECOVERERS_LOCK
    locked = NOBODY;
#endif
held:
    skip
}

init
{
    atomic {
        run guarded(0);
        run guarded(1);
        run lockctl(0);
#if BREAKERS > 1
        run lockctl(1);
#endif
#ifdef RECOVER
        run recover()
#endif
    }
}
