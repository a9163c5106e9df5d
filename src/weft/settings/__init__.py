"""Every setting of Weft, declared once: its type, its default, what it is for and what it risks.

The sample file, the reference page, the checks and the command line are made from these declarations
(`weft.server.config`). A setting is a field whose annotation carries a `Doc`; a section is a `Section`; the sections
come together in `Settings`. Every layer above the protocol may read this package. It opens nothing and checks only
shapes; what needs more than one setting to be judged is in `weft.server.config.checks`.

A setting needs a reason to exist. What has one right answer is a constant in the code that uses it.
"""

from weft.settings.accounts import Oauth, Passwords, Registration, Sessions, Term, UserDirectory
from weft.settings.addresses import Email, Sms, ThirdPartyIds
from weft.settings.application_services import ApplicationServices
from weft.settings.federation import Federation, PolicyServer
from weft.settings.limits import Limit, RateLimits
from weft.settings.media import Media, ObjectStorage, Push, UrlPreviews
from weft.settings.rooms import PolicyLists, Presence, Retention, Rooms, Search, ServerNotices
from weft.settings.server import Contact, Database, Listener, Logging, Resource, Server, WellKnown
from weft.settings.single_sign_on import IdentityProvider, SingleSignOn
from weft.settings.tree import Settings
from weft.settings.values import ByteSize, Count, Doc, Duration, Port, Section
from weft.settings.voip import Voip

__all__ = [
    "ApplicationServices",
    "ByteSize",
    "Contact",
    "Count",
    "Database",
    "Doc",
    "Duration",
    "Email",
    "Federation",
    "IdentityProvider",
    "Limit",
    "Listener",
    "Logging",
    "Media",
    "Oauth",
    "ObjectStorage",
    "Passwords",
    "PolicyLists",
    "PolicyServer",
    "Port",
    "Presence",
    "Push",
    "RateLimits",
    "Registration",
    "Resource",
    "Retention",
    "Rooms",
    "Search",
    "Section",
    "Server",
    "ServerNotices",
    "Sessions",
    "Settings",
    "SingleSignOn",
    "Sms",
    "Term",
    "ThirdPartyIds",
    "UrlPreviews",
    "UserDirectory",
    "Voip",
    "WellKnown",
]
