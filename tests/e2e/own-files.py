"""Rewrites a file of its own, again and again, in one of the ways in which programs do, and prints how
often that was refused (ESTALE):

    own-files.py WAY FILE TIMES      own-files.py ways
"""
import ctypes
import errno
import mmap
import os
import sys
import time


def read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path, text, mode="w"):
    with open(path, mode, encoding="ascii") as file:
        file.write(text)


def rewritten(path, number):
    write(path, read(path)[-50:] + str(number))


def written_blind(path, number):
    if number == 0:
        read(path)
    write(path, str(number))


def renamed_over(path, number):
    write(path + ".new", read(path)[-50:] + str(number))
    os.rename(path + ".new", path)


def linked_anew(path, number):
    write(path + ".new", read(path)[-50:] + str(number))
    if os.path.exists(path):
        os.unlink(path)
    os.link(path + ".new", path)
    os.unlink(path + ".new")


def made_anew(path, number):
    read(path)
    if os.path.exists(path):
        os.unlink(path)
    write(path, str(number), "x")


def in_place(path, number):
    if number == 0:
        write(path, "0")
    with open(path, "r+", encoding="ascii") as file:
        file.read()
        file.seek(0)
        file.write("y" * (number % 50))
        file.truncate()
        file.write("more")
        file.flush()
        file.truncate(1)


def emptied_open(path, number):
    read(path)
    with open(path, "a+", encoding="ascii") as file:
        file.truncate(0)
        file.write(str(number))


def in_parts(path, number):
    read(path)
    write(path, "x", "a+")
    write(path, "yy", "r+")
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, str(number).encode(), 1)
    os.close(descriptor)
    os.truncate(path, 2)
    os.truncate(path, 1)
    write(path, "")


def mapped(path, number):
    if number == 0:
        write(path, "0" * 100)
    read(path)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:3] = b"%03d" % (number % 1000)
    if number % 5 == 0:
        write(path, "0" * 100)


def by_a_copy(path, number):
    read(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    copy = os.dup(descriptor)
    os.close(descriptor)
    os.write(copy, str(number).encode())
    os.close(copy)
    write(path, "")


def kept_open(path, number, kept=[]):
    if number == 0:
        kept.append(open(path, "w+", encoding="ascii"))
    kept[0].seek(0)
    kept[0].read()
    kept[0].seek(0)
    kept[0].write("y" * (number % 50))
    kept[0].truncate()
    kept[0].flush()
    if number % 7 == 0:
        write(path, "")


def a_directory_before(path, number):
    name = path + ".names"
    os.mkdir(name)
    os.close(os.open(name, os.O_RDONLY))
    os.rmdir(name)
    write(name, str(number))
    read(name)
    os.unlink(name)
    os.mkdir(name)
    os.rmdir(name)
    os.mkfifo(name)
    os.unlink(name)


def by_another_link(path, number):
    write(path, str(number))
    read(path)
    os.link(path, path + ".link")
    read(path + ".link")
    write(path + ".link", str(number) * 2)
    write(path, "")
    os.unlink(path + ".link")
    write(path, str(number) * 3)


def by_a_symlink(path, number):
    name = path + ".symlink"
    write(path, str(number))
    os.symlink(os.path.basename(path), name)
    read(name)
    write(name, str(number) * 2)
    write(path, "")
    os.unlink(name)
    os.symlink(path + ".nowhere", name)
    read(name)
    os.unlink(name)
    write(name, str(number) * 3)
    read(name)
    os.unlink(name)


def dated_back(path, number):
    write(path, str(number))
    os.utime(path, (number, number))
    read(path)
    write(path, str(number) * 2)
    os.utime(path, (1, 1))
    write(path, "")


def exchanged(path, number):
    other = path + ".other"
    write(path, str(number))
    write(other, str(number) * 2)
    read(path)
    read(other)
    if ctypes.CDLL(None).renameat2(-100, path.encode(), -100, other.encode(), 2) != 0:
        raise OSError(errno.ESTALE, "exchange")
    write(path, "")
    os.unlink(other)


def slowly(path, number):
    """So that times would tell each change."""
    steps = (lambda: read(path), lambda: write(path, "1"), lambda: os.chmod(path, 0o600), lambda: write(path, "22"),
             lambda: os.truncate(path, 1), lambda: write(path, "333"), lambda: write(path, "4", "a"),
             lambda: write(path, "5"), lambda: os.link(path, path + ".link"), lambda: os.unlink(path + ".link"),
             lambda: write(path, "6"))
    for step in steps if number == 0 else ():
        step()
        time.sleep(0.02)


WAYS = {way.__name__: way for way in (rewritten, written_blind, renamed_over, linked_anew, made_anew, in_place,
                                      emptied_open, in_parts, mapped, by_a_copy, kept_open, a_directory_before,
                                      by_another_link, by_a_symlink, dated_back, exchanged, slowly)}


def main():
    if sys.argv[1] == "ways":
        print(*WAYS)
        return
    way, path, refused = WAYS[sys.argv[1]], sys.argv[2], 0
    for number in range(int(sys.argv[3])):
        try:
            way(path, number)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            refused += 1
    print(refused)


main()
