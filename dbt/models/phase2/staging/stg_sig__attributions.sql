-- Who was given which land: allocations with their zone and company.
select
    attributions.attribution_id,
    attributions.zone_id,
    zones.nom as zone,
    zones.region,
    attributions.entreprise_id,
    entreprises.raison_sociale,
    entreprises.secteur,
    entreprises.niveau_risque,
    attributions.attribuee_le,
    attributions.surface_ha,
    attributions.investissement,
    attributions.statut,
    attributions._logical_date as exportee_le
from {{ source('raw_sig', 'attributions') }} as attributions
left join {{ source('raw_sig', 'zones') }} as zones on attributions.zone_id = zones.zone_id
left join {{ source('raw_sig', 'entreprises') }} as entreprises on attributions.entreprise_id = entreprises.entreprise_id
