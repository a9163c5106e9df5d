"""Several whole servers in one process, virtual time, one seed: do they end with one truth, whatever goes wrong?

    from weft.testing.simulation.run import simulate
    result = simulate(57)          # result.problems is empty, or says what did not hold

A run makes two to four servers with a few people each (`world`), has the people act through the client API
(`people`), and their devices too (`devices`), while the network loses, delays, repeats and cuts, servers crash in the
middle of their writes and come back, days pass (`trouble`), and in a third of the runs a hostile server lies to all
(`liar`), in half of those also of whole states of rooms, at joins and before events. Then everything is mended,
everybody says a last word in every room, and `checks` and `device_checks` look.
Nothing depends on the machine, the world's time or chance but the seed's: one seed is one run, byte for byte
(`Result.digest`). The order of Python's sets is part of it: `make simulate` sets `PYTHONHASHSEED=0`.

**What must hold at the end**, for every room and for all devices:

* *One state.* Two servers that each believe the other to be in the room have the same current state of it. A server
  that was put out without the others' knowing (or the other way round) may see it otherwise: two moderators who ban
  each other at the same time each have the other's ban soft-failed, and the protocol has no way back from that. But
  whoever believes itself in the room must at least have been *told* of the event by which the others put it out.
* *Nothing acknowledged is lost.* An event that a client was told to have sent is, on every server that was in the
  room at that event and has not left it since, accepted, or soft-failed because the room had moved on there. It
  may not be rejected, nor unknown, even where it was made on the far side of a partition that lasted for days.
* *What is refused stays hidden.* Who reads back through the whole room, or asks for a refused event by its id, sees
  accepted events alone; no rejected event is part of a current state. (A soft-failed one may be: resolution may find
  that it stood after all.)
* *The graph closes.* Few ends are left once everybody has heard of everybody.
* *Devices are known as they are.* Of everybody elsewhere with whom somebody shares a room (as both their servers see
  it), `/keys/query` tells what their own server tells: devices, keys and names.
* *Messages to devices arrive once.* A message whose sender was told that it is on its way is read once, and in its
  sender's order, by each device that it was for and that was there before it was sent and still is. A device whose
  answer to `/sync` was lost asks again by the same token.
* *One-time keys serve once.* None is given to two who claim one.
* *No fault of ours.* No exception in any log, none that nobody caught, and no answer of the 500s but for a peer that
  can't be reached.

What a server holds of a room says nothing any more once a false state of the room was told to it, by the hostile server
or by another to whom it was told (`World.misled`): it is not compared, and what it says there may be refused. All the
others must agree as if it were hostile itself.

State is compared after last words because before them it need not be equal: an event that one server soft-failed and
another accepted becomes part of the first one's graph only when somebody builds on it. Where nobody of the second
server may say anything any more (a rule of joining that the room's version does not know keeps everybody even from
changing their name), that can't be, and the states need not be equal. In rooms of version 1 the first
point is not asked for: its resolution lets old state win over new (the reason for version 2).
"""
