/* chain/unreal.h - addresses that only stand for names: the fake pools of this process. Nothing of
 * ours is ever dialled there, for it would come back in through the device and be dialled again.
 *
 * A resolver of this machine may ask itself through the device and be told such an address; ours
 * (chain/resolver.h) takes it for no answer. One set a process; 16 ranges.
 */
#ifndef CHAIN_UNREAL_H
#define CHAIN_UNREAL_H

#include "core/addr.h"

bool unreal_add(const struct cidr *range);    /* as often as it is removed; false: too many */
void unreal_remove(const struct cidr *range); /* fine when it was not added */
bool unreal_has(const struct addr *a);
/* Takes such addresses out of v; returns how many are left. */
int unreal_drop(struct addr *v, int n);

#endif
