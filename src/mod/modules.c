#include "mod/mod.h"

const struct module *const modules_all[MOD_COUNT] = {
#define M(name) [MOD_##name] = &mod_##name,
#include "mod/modules.def"
#undef M
};

const char *const modules_absent[] = {
	"aaa_diameter", "aaa_radius", "acc", "aka_av_diameter", "alias_db", "auth", "auth_aka", "auth_db", "auth_diameter", "auth_jwt", "avpops", "b2b_entities",
	"b2b_logic", "b2b_sca", "b2b_sdp_demux", "benchmark", "cachedb_cassandra", "cachedb_couchbase", "cachedb_dynamodb", "cachedb_local", "cachedb_memcached",
	"cachedb_mongodb", "cachedb_redis", "cachedb_sql", "call_center", "call_control", "callops", "carrierroute", "cfgutils", "cgrates", "clusterer", "compression",
	"config", "cpl_c", "db_berkeley", "db_cachedb", "db_flatstore", "db_http", "db_mysql", "db_oracle", "db_perlvdb", "db_postgres", "db_sqlite", "db_text",
	"db_unixodbc", "db_virtual", "dialog", "dialplan", "dispatcher", "diversion", "dns_cache", "domain", "domainpolicy", "drouting", "emergency", "enum",
	"event_datagram", "event_flatstore", "event_kafka", "event_nats", "event_rabbitmq", "event_route", "event_routing", "event_sqs", "event_stream",
	"event_virtual", "event_xmlrpc", "example", "exec", "fraud_detection", "freeswitch", "freeswitch_scripting", "gflags", "group", "h350", "http2d", "httpd",
	"identity", "imc", "janus", "jabber", "json", "json_rpc", "launch_darkly", "ldap", "load_balancer", "lua", "mangler", "mathops", "media_exchange",
	"mediaproxy", "mi_datagram", "mi_fifo", "mi_html", "mi_http", "mi_json", "mi_script", "mi_xmlrpc_ng", "mid_registrar", "mmgeoip", "mqueue", "msilo",
	"msrp_gateway", "msrp_relay", "msrp_ua", "nat_traversal", "nathelper", "osp", "path", "peering", "perl", "permissions", "pi_http", "pike",
	"presence", "presence_callinfo", "presence_dfks", "presence_dialoginfo", "presence_mwi", "presence_xcapdiff", "presence_xml", "prometheus", "proto_bin",
	"proto_bins", "proto_hep", "proto_ipsec", "proto_msrp", "proto_sctp", "proto_smpp", "pua", "pua_bla", "pua_dialoginfo", "pua_mi", "pua_usrloc", "pua_xmpp",
	"python", "qos", "qrouting", "rabbitmq", "rabbitmq_consumer", "rate_cacher", "ratelimit", "regex", "registrar", "rest_client", "rls", "rtp.io", "rtp_relay",
	"rtpengine", "rtpproxy", "rtp_proxy", "script_helper", "seas", "sip_i", "sipcapture", "siprec", "siptrace", "sms", "snmpstats", "sockets_mgm", "speeddial",
	"sqlops", "sst", "statistics", "status_report", "stir_shaken", "stun", "tcp_mgm", "textops_ext", "tls_wolfssl", "topology_hiding", "tracer", "uac", "uac_auth",
	"uac_redirect", "uac_registrant", "uri", "userblacklist", "usrloc", "uuid", "xcap", "xcap_client", "xml", "xmpp", NULL
};
