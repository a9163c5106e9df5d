// What one does with an account: sessions, passwords, devices, profile, account data, tags, ignored users, push rules.

import assert from "node:assert/strict";

import { ConditionKind, createClient, PushRuleKind } from "matrix-js-sdk";

import { account, password, person, roomOf, said, session } from "../people.mjs";
import { eventually, unique, url } from "../test.mjs";

export default async function () {
    const alicesAccount = await account("alice");
    const alice = await session(alicesAccount);
    const bob = await person("bob");
    const roomId = await roomOf([alice, bob]);
    const newPassword = "battery staple";

    // Names and log-ins.
    const nobody = createClient({ baseUrl: url });
    await assert.rejects(nobody.isUsernameAvailable("has spaces"), { errcode: "M_INVALID_USERNAME" });
    assert.equal(await nobody.isUsernameAvailable(unique("alice")), false);
    assert.equal(await nobody.isUsernameAvailable(unique("nobody")), true);
    assert.ok((await nobody.loginFlows()).flows.some((flow) => flow.type === "m.login.password"));
    await assert.rejects(nobody.loginWithPassword(unique("alice"), "wrong"), { errcode: "M_FORBIDDEN", httpStatus: 403 });
    const tablet = await session(await nobody.loginWithPassword(unique("alice"), password));
    assert.equal((await alice.getDevices()).devices.length, 2);

    // User-interactive authentication, as a client goes through it.
    const auth = await alice.deleteDevice(tablet.getDeviceId()).catch((error) => {
        assert.equal(error.httpStatus, 401);
        assert.deepEqual(error.data.flows, [{ stages: ["m.login.password"] }]);
        return {
            type: "m.login.password",
            session: error.data.session,
            identifier: { type: "m.id.user", user: alice.getUserId() },
            password,
        };
    });
    await assert.rejects(alice.deleteDevice(tablet.getDeviceId(), { ...auth, password: "wrong" }), { httpStatus: 401 });
    const loggedOut = new Promise((resolve) => tablet.once("Session.logged_out", resolve));
    await alice.deleteDevice(tablet.getDeviceId(), auth);
    await loggedOut;
    assert.equal((await alice.getDevices()).devices.length, 1);
    await alice.setPassword({ ...auth, session: undefined }, newPassword, false);
    await assert.rejects(createClient({ baseUrl: url }).loginWithPassword(unique("alice"), password), { errcode: "M_FORBIDDEN" });
    const again = await createClient({ baseUrl: url }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: alice.getUserId() },
        password: newPassword,
        refresh_token: true,
    });
    const refreshed = await createClient({ baseUrl: url }).refreshToken(again.refresh_token);
    assert.notEqual(refreshed.access_token, again.access_token);
    assert.ok(refreshed.expires_in_ms > 0);

    // Profile, seen in the room.
    await alice.setDisplayName("Alice Liddell");
    await alice.setAvatarUrl("mxc://weft.test/rabbit");
    await eventually(() => bob.getRoom(roomId).getMember(alice.getUserId())?.getMxcAvatarUrl() === "mxc://weft.test/rabbit", "the avatar at Bob's");
    assert.equal(bob.getRoom(roomId).getMember(alice.getUserId()).name, "Alice Liddell");
    assert.deepEqual(await bob.getProfileInfo(alice.getUserId()), { displayname: "Alice Liddell", avatar_url: "mxc://weft.test/rabbit" });
    assert.ok(await alice.doesServerSupportExtendedProfiles());
    await alice.setExtendedProfileProperty("org.example.hobby", { game: "croquet" });
    assert.deepEqual(await bob.getExtendedProfileProperty(alice.getUserId(), "org.example.hobby"), { game: "croquet" });
    const found = await eventually(async () => {
        const { results } = await bob.searchUserDirectory({ term: "liddell" });
        return results.find((each) => each.user_id === alice.getUserId());
    }, "Alice in the user directory");
    assert.equal(found.display_name, "Alice Liddell");

    // Account data comes round by sync; the SDK resolves once it has.
    await alice.setAccountData("org.example.settings", { theme: "dark" });
    assert.deepEqual(alice.getAccountData("org.example.settings").getContent(), { theme: "dark" });
    await alice.setRoomAccountData(roomId, "org.example.draft", { text: "Dear" });
    await eventually(() => alice.getRoom(roomId).getAccountData("org.example.draft")?.getContent().text === "Dear", "the draft");
    await alice.setRoomTag(roomId, "u.work", { order: 0.25 });
    await eventually(() => alice.getRoom(roomId).tags["u.work"]?.order === 0.25, "the tag");
    await alice.deleteRoomTag(roomId, "u.work");
    await eventually(() => !("u.work" in alice.getRoom(roomId).tags), "no tag");

    // Push rules.
    await alice.addPushRule("global", PushRuleKind.ContentSpecific, "croquet", { pattern: "croquet", actions: ["notify", { set_tweak: "highlight" }] });
    await alice.setRoomMutePushRule("global", roomId, true);
    await eventually(() => alice.getRoomPushRule("global", roomId), "the room is muted");
    await eventually(() => alice.pushRules.global.content.some((rule) => rule.rule_id === "croquet"), "the rule");
    assert.ok(alice.pushRules.global.override.some((rule) => rule.conditions?.some((each) => each.kind === ConditionKind.EventPropertyIs)));

    // Whoever is ignored is not heard.
    await alice.setIgnoredUsers([bob.getUserId()]);
    await eventually(() => alice.isUserIgnored(bob.getUserId()), "Bob is ignored");
    await bob.sendTextMessage(roomId, "can you hear me?");
    await alice.sendTextMessage(roomId, "silence at last");
    await eventually(() => said(alice, roomId).includes("silence at last"), "Alice's own message");
    assert.deepEqual(said(alice, roomId), ["silence at last"]);

    // Odds and ends that a client asks for at its start.
    assert.equal((await alice.getOpenIdToken()).matrix_server_name, "weft.test");
    const capabilities = await alice.getCapabilities();
    assert.equal(capabilities["m.room_versions"].default, "12");
    assert.equal((await alice.whoami()).device_id, alicesAccount.device_id);

    // The end of it.
    const carol = await person("carol");
    await carol.deactivateAccount({ type: "m.login.password", identifier: { type: "m.id.user", user: carol.getUserId() }, password }, true);
    await assert.rejects(carol.whoami(), { errcode: "M_UNKNOWN_TOKEN" });
}
