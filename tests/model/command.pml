/*
 * A model of breaking the lock of a command, whose members share one description (the head of
 * shim/lock/command_anchor.h, lockctl/break_members.c): a member that has touched and is known as
 * the holder, two that touch for the first time at any moment, the command's own lockctl, which
 * settles what was done when all have ended, the lockctl that breaks, or gives up, and a stranger
 * who waits. Checked for all orders:
 *
 *   - when the stranger has the lock, no member changes the table any more, and nobody undoes what
 *     the command has done; nor do two at once;
 *   - what was done is settled by one of the two by then, also when the break was given up;
 *   - the stranger gets it, and both lockctls come to an end.
 *
 * A step left out (-D WITHOUT_SCAN and so on) must be found out: tests/model/check.sh.
 */
#define COMMAND 1
#define STRANGER 2
#define MEMBERS 3
#define BREAKING 1
#define BROKEN 2

byte locked;         /* 0: nobody has it */
byte state;          /* in the anchor: 0, BREAKING or BROKEN */
bool over;           /* the break is done: the lock is broken */
bool exclusion;      /* the byte that a lockctl has locked while it breaks */
bool settled;        /* what the command did counts, or is undone */
bool ended[MEMBERS];
bool leaving;        /* in the anchor: the command's lockctl is about to let go */
bool settling;       /* and undoes, or drops the journal */
bool given_up;       /* the break is */
bool orphaned;       /* nobody but the break has a copy of the description */
bool told[MEMBERS];  /* its fence can be found: it says whose it is */
byte calls[MEMBERS];
byte acquisition[MEMBERS]; /* as its fence says */
byte raised[MEMBERS];      /* against which acquisition + 1; 0: against none */
bool kept[MEMBERS];  /* it has the lock in its own eyes, and asks its fence alone */

#define IS_RAISED(id) (raised[id] == acquisition[id] + 1)

inline change()
{
    atomic {
        assert(locked == COMMAND);
        assert(!over)
    }
}

/* To touch: count in, ask the fence, and the first time the command and the kernel as well. */
inline touch(id, refused)
{
    refused = false;
    calls[id]++;
    if
    :: IS_RAISED(id) -> calls[id]--; refused = true
    :: else
    fi;
    if
    :: !refused && !kept[id] ->
        if
        :: state != 0 -> refused = true
        :: else
        fi;
        if
        :: !refused ->
            /* flock on the shared description; who has it has it still */
            if
            :: atomic { locked != STRANGER -> locked = COMMAND }
            :: atomic { locked == STRANGER -> refused = true }
            fi;
            /* broken in between: what was locked just now is not the command's */
            if
            :: !refused && state == BROKEN ->
                atomic {
                    if
                    :: locked == COMMAND -> locked = 0
                    :: else
                    fi
                };
                refused = true
            :: !refused && state == BREAKING -> refused = true
            :: else
            fi
        :: else
        fi;
        if
        :: !refused ->
            acquisition[id] = 1; /* a number of its own */
            told[id] = true;
            kept[id] = true
        :: else -> calls[id]--
        fi
    :: else
    fi
}

proctype member(byte id)
{
    byte touches = 2;
    bool refused;

#ifndef WITHOUT_NAME
    told[id] = true; /* at its start, before it ever asks whether the command is broken */
#endif
    do
    :: touches == 0 -> break
    :: touches > 0 ->
        touches--;
        touch(id, refused);
        if
        :: refused -> break
        :: else
        fi;
        change(); /* by name: counted to its end */
        calls[id]--
    od;
    ended[id] = true
}

proctype supervisor()
{
    bool lasts = true, done;
    (ended[0] && ended[1] && ended[2]);
    do
    :: done -> break
    :: else ->
#ifndef WITHOUT_LEAVING
        leaving = true;
#endif
        if
        :: state == 0 && locked == COMMAND ->
            settling = true;
            assert(locked == COMMAND);
            settled = true;
            settling = false;
            done = true
        :: else ->
            done = !lasts
        fi;
        leaving = false;
        /* the state is asked once more after that: what it says then is the last word */
#ifdef WITHOUT_OUTCOME
        done = true
#else
        lasts = exclusion
#endif
#ifdef WITHOUT_LAST_LOOK
        ;
        done = done || !lasts
#endif
    od;
    /* it ends: with the last copy of the description the lock is free */
    atomic {
        if
        :: locked == COMMAND && !exclusion -> locked = 0
        :: locked == COMMAND && exclusion -> orphaned = true /* the break has a copy */
        :: else
        fi
    }
}

inline fence_member(id)
{
    byte against;
    do
    :: against = acquisition[id];
        raised[id] = against + 1;
        if
        :: calls[id] == 0 && acquisition[id] == against -> break
        :: else ->
#ifdef WITHOUT_LATEST
            (calls[id] == 0);
            break
#else
            (calls[id] == 0 || acquisition[id] != against)
#endif
        fi
    od
}

proctype lockctl()
{
    (kept[0]); /* the holder that it knows */
    exclusion = true;
#ifndef WITHOUT_MARK
    state = BREAKING;
#endif
    (!leaving);
    fence_member(0);
#ifndef WITHOUT_SCAN
    if
    :: told[1] -> fence_member(1)
    :: else
    fi;
    if
    :: told[2] -> fence_member(2)
    :: else
    fi;
#endif
    if
    :: true -> /* given up: nothing that can't be taken back was done */
        raised[0] = 0;
        raised[1] = 0;
        raised[2] = 0;
        state = 0;
        atomic {
            exclusion = false;
            if
            :: orphaned && locked == COMMAND -> locked = 0
            :: else
            fi
        };
        given_up = true;
        goto end_of_break
    :: true
    fi;
    /* what the command has done is undone here */
    assert(!settling);
    settled = true;
    /* the copies of files; then LOCK_UN, BROKEN, and LOCK_UN once more */
    atomic {
        if
        :: locked == COMMAND -> locked = 0
        :: else
        fi
    };
    state = BROKEN;
    /* for those whose fence could not be found at all; there are none here */
    atomic {
        if
        :: locked == COMMAND -> locked = 0
        :: else
        fi
    };
    over = true;
    exclusion = false;
end_of_break:
    skip
}

proctype stranger()
{
    atomic {
        locked == 0 && (over || (given_up && ended[0] && ended[1] && ended[2])) ->
            locked = STRANGER;
            assert(settled)
    }
}

init
{
    atomic {
        run member(0);
        run member(1);
        run member(2);
        run supervisor();
        run lockctl();
        run stranger()
    }
}
