/* The other end of a connected Unix socket, asked of the kernel (sock_diag). */
#ifndef LOCKSHIM_SOCKET_PEER_H
#define LOCKSHIM_SOCKET_PEER_H

#include <stdint.h>

/* The inode of the socket that is connected to the one with this inode; 0 when there is none. */
uint64_t socket_peer(uint64_t inode);

#endif
