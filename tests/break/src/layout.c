/* layout: where the fields stand that the tests forge, as NAME=OFFSET lines. */
#include "shim/lock/registry.h"

#include <stdio.h>

int main(void)
{
    (void)printf("fence=%zu\nstart_time=%zu\nacquisition=%zu\nbroken=%zu\nmark_state=%zu\n"
                 "mark_process=%zu\nmark_start_time=%zu\nmark_boot=%zu\n",
                 REGISTRY_OFFSET(head.exclusive.fence), REGISTRY_OFFSET(head.exclusive.start_time),
                 REGISTRY_OFFSET(head.exclusive.acquisition), REGISTRY_OFFSET(head.broken),
                 REGISTRY_OFFSET(head.mark.state), REGISTRY_OFFSET(head.mark.process),
                 REGISTRY_OFFSET(head.mark.start_time), REGISTRY_OFFSET(head.mark.boot));
    return 0;
}
