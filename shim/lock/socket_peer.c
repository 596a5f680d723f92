/*
 * One question to sock_diag over netlink. It must never block: an answer that is not there is none.
 */
#include "shim/lock/socket_peer.h"

#include "shim/lock/kernel.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>

struct question {
    struct nlmsghdr header;
    struct unix_diag_req request;
};

static uint64_t read_answer(char *answer, size_t length)
{
    struct nlmsghdr *header = (struct nlmsghdr *)(void *)answer;
    if (length < sizeof *header || header->nlmsg_len > length ||
        header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return 0;
    size_t at = NLMSG_LENGTH(sizeof(struct unix_diag_msg));
    while (at + sizeof(struct rtattr) <= header->nlmsg_len) {
        struct rtattr *attribute = (struct rtattr *)(void *)(answer + at);
        if (attribute->rta_len < sizeof *attribute || at + attribute->rta_len > header->nlmsg_len)
            return 0;
        if (attribute->rta_type == UNIX_DIAG_PEER &&
            attribute->rta_len >= RTA_LENGTH(sizeof(uint32_t))) {
            uint32_t peer;
            memcpy(&peer, RTA_DATA(attribute), sizeof peer);
            return peer;
        }
        at += RTA_ALIGN(attribute->rta_len);
    }
    return 0;
}

uint64_t socket_peer(uint64_t inode)
{
    int descriptor = (int)KERNEL_CALL(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
                                      NETLINK_SOCK_DIAG, 0, 0, 0);
    if (descriptor < 0)
        return 0;
    struct question question = {.header = {.nlmsg_len = sizeof question,
                                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                           .nlmsg_flags = NLM_F_REQUEST},
                                .request = {.sdiag_family = AF_UNIX,
                                            .udiag_states = ~0u,
                                            .udiag_ino = (uint32_t)inode,
                                            .udiag_show = UDIAG_SHOW_PEER,
                                            .udiag_cookie = {~0u, ~0u}}};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    _Alignas(8) char answer[1024];
    uint64_t peer = 0;
    if (KERNEL_CALL(SYS_sendto, descriptor, &question, sizeof question, 0, &kernel, sizeof kernel) >
        0) {
        long got = KERNEL_CALL(SYS_recvfrom, descriptor, answer, sizeof answer, MSG_DONTWAIT, 0, 0);
        if (got > 0)
            peer = read_answer(answer, (size_t)got);
    }
    (void)kernel_close(descriptor);
    return peer;
}
